import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Catalog } from './catalog.ts'
import type { Tool } from './define-tool.ts'

const TOOLS = fileURLToPath(new URL('../tools', import.meta.url))

/**
 * A file whose name is lower-case words joined by underscores is a tool (`apply_patch.ts`), also with dots between them where the
 * tool's name has them (`go/mod.tidy.ts` is `go.mod.tidy`); whatever has a hyphen, and what stands beside a tool (`tidy.test.ts`),
 * is not. Folders below a family hold no tools.
 */
const TOOL_FILE = /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.ts$/
const BESIDE_A_TOOL = /\.(?:test|conformance|sample|fixture|d)\.ts$/
const FAMILY = /^[a-z][a-z0-9_]*$/

/**
 * Loads every tool under `<folder>/<family>/<name>.ts`. Throws if such a file does not have a tool of its own name
 * (`<family>.<name>`) as its default export.
 */
export async function loadCatalog(folder: string = TOOLS): Promise<Catalog> {
  const tools: Tool[] = []
  for (const family of await readdir(folder, { withFileTypes: true })) {
    if (!family.isDirectory() || !FAMILY.test(family.name)) continue
    for (const file of await readdir(join(folder, family.name))) {
      if (TOOL_FILE.test(file) && !BESIDE_A_TOOL.test(file)) tools.push(await loadTool(folder, family.name, file))
    }
  }
  return makeCatalog(tools)
}

async function loadTool(folder: string, family: string, file: string): Promise<Tool> {
  const where = `${family}/${file}`
  const module = (await import(pathToFileURL(join(folder, family, file)).href)) as { default?: unknown }
  if (!isTool(module.default))
    throw new Error(`${where} has no tool as its default export; a module that is no tool needs a hyphen in its name`)
  const expected = `${family}.${file.slice(0, -'.ts'.length)}`
  if (module.default.metadata.name !== expected)
    throw new Error(`${where} holds ${module.default.metadata.name}, not ${expected}`)
  return module.default
}

function isTool(value: unknown): value is Tool {
  return typeof value === 'object' && value !== null && 'metadata' in value && 'handler' in value && 'input' in value
}

/** Sorted by name, and frozen: what policy decides by is the same for the whole life of the server. */
export function makeCatalog(tools: Tool[]): Catalog {
  const sorted = Object.freeze(tools.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)).map(frozen))
  const byName = new Map(sorted.map((tool) => [tool.metadata.name, tool]))
  if (byName.size !== sorted.length) throw new Error('two tools have the same name')
  return Object.freeze({ list: () => [...sorted], get: (name: string) => byName.get(name) ?? null })
}

function frozen(tool: Tool): Tool {
  deepFreeze(tool.metadata)
  return Object.freeze(tool)
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
}
