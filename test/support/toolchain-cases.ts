import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Tool } from '../../src/catalog/define-tool.ts'
import type { ToolWorkspace } from './tool-workspace.ts'

/** What is attacked in every tool of the toolchain families. */
export interface ToolchainAttack {
  tool: Tool
  /** The smallest project that the tool would accept. */
  project: Record<string, string>
  /** The argument that is a path, if there is one, and what else has to be given. */
  path?: string
  args?: Record<string, unknown>
  /** The ending of a file that the tool takes; default: any. */
  extension?: string
  /** Arguments that its schema must refuse. */
  refused: Record<string, unknown>[]
  /** A tool that looks only where its path says may be used in a part of the workspace. */
  partial?: boolean
  /** A tool that takes no link at all for its path, wherever it leads. */
  linksRefused?: boolean
}

/** Registers tests: ways out by name and by link, a session that may use only a part, wrong types, an approval that is not asked. */
export function itWithstandsAttacks(workspace: () => ToolWorkspace, attack: ToolchainAttack): void {
  const { tool, project, path, args = {}, extension = '', partial = false, linksRefused = false } = attack
  const { name, policy, requires_approval } = tool.metadata

  if (path !== undefined) {
    it.each(
      ['../outside', '/etc/passwd', '/session/secrets/API_TOKEN', 'a/../../secrets', '/session/codex/x'].map(
        (p) => p + extension,
      ),
    )(`${name} does not leave the workspace by ${path} %s`, async (outside) => {
      await workspace().plant(project)
      expect(await workspace().failure(tool, { ...args, [path]: outside })).toMatchObject({ code: 'policy_denied' })
      expect(policy.paths.map((hint) => hint.field)).toContain(path)
    })

    it.each([
      ['a link to a file outside', '/etc/passwd', ''],
      ['a link to a directory outside', '/etc', '/passwd'],
      ['a link to the secrets', '../secrets', '/API_TOKEN'],
    ])(`${name} does not follow ${path} along %s`, async (_, destination, below) => {
      await workspace().plant(project)
      const link = below === '' ? `link${extension}` : 'link'
      symlinkSync(destination, join(workspace().code, link))
      const error = await workspace().failure(tool, { ...args, [path]: below === '' ? link : `${link}${below}${extension}` })
      expect(error.code).toBe(linksRefused && below === '' ? 'invalid_argument' : 'policy_denied')
    })

    it(`${name} says when ${path} is not there`, async () => {
      await workspace().plant(project)
      expect(await workspace().failure(tool, { ...args, [path]: `nowhere${extension}` })).toMatchObject({ code: 'not_found' })
    })
  }

  it.each([...attack.refused, { no_such_argument: 1 }])(`${name} refuses by its schema %j`, (wrong) => {
    expect(tool.input.safeParse({ ...args, ...wrong }).success).toBe(false)
  })

  if (!partial) {
    it(`${name} does not run in a part of the workspace`, async () => {
      await workspace().plant(project)
      expect(policy.whole_repository).toBe(true)
      expect(await workspace().failure(tool, args, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
    })
  }

  it(`${name} asks for no approval`, () => {
    expect(requires_approval).toBe(false)
    expect(tool.approvalReason(args)).toBeNull()
  })
}
