import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { VARIABLES } from '../src/config.ts'
import { CONFIGURATION_FILE, generateConfigurationDoc } from './generate-configuration-doc.ts'

test('the page is the committed one, and names every variable', () => {
  const page = generateConfigurationDoc()
  expect(page).toBe(readFileSync(CONFIGURATION_FILE, 'utf8'))
  for (const name of Object.keys(VARIABLES)) expect(page).toContain(`| \`${name}\` |`)
})
