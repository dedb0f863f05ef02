import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { captureChat } from '../../scripts/docs-chat/capture-chat.ts'
import { chatSvg, README_FILE, SVG_FILE, withChat } from '../../scripts/docs-chat/chat-documents.ts'

it('the conversation in the README is what the command shows now; else: npm run docs:chat', async () => {
  const screen = await captureChat()
  const readme = readFileSync(README_FILE, 'utf8')
  expect(withChat(readme, screen)).toBe(readme)
  expect(chatSvg(screen)).toBe(readFileSync(SVG_FILE, 'utf8'))
}, 120_000)
