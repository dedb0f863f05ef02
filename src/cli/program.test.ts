import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { makeProgram } from './program.ts'

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) })
  command.outputHelp()
  return text
}

function leaves(command: Command, path: string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[path.join(' '), command]]
  return command.commands.flatMap((each) => leaves(each, [...path, each.name()]))
}

const commands = leaves(makeProgram())

test('every command is there', () => {
  const family = (name: string, ...rest: string[]) => rest.map((each) => `${name} ${each}`)
  expect(commands.map(([name]) => name).sort()).toEqual(
    [
      ...['serve', 'login', 'logout', 'whoami', 'doctor', 'mcp'],
      ...family('session', 'create', 'list', 'get', 'send', 'chat', 'events', 'close', 'restore', 'delete', 'interrupt', 'token'),
      ...family('tool', 'list', 'invoke'),
      ...family('invocation', 'list', 'get', 'logs', 'artifacts', 'cancel'),
      ...family('connector', 'list', 'show', 'review'),
      ...family('approval', 'list', 'get', 'approve', 'deny', 'revoke'),
      ...family('policy', 'check', 'test', 'replay'),
      ...family('file', 'get', 'put'),
      ...family('user', 'list', 'get', 'create', 'update', 'delete'),
      ...family('token', 'list', 'create', 'revoke'),
    ].sort(),
  )
})

test.each(commands)('%s has a description, and help with an example', (name, command) => {
  expect(command.description()).not.toBe('')
  expect(helpOf(command)).toMatch(new RegExp(`\\nExamples?:\\n(.*\\n)*? {2}.*cloister.*${name.split(' ').at(-1)}`))
})

test('the exit codes are documented', () => {
  expect(helpOf(makeProgram())).toMatch(/Exit codes:\n {2}0 {2}it worked/)
})
