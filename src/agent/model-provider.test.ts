import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CloisterError } from '../domain/errors.ts'
import { type ModelConfig, ModelProviders } from './model-provider.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-models-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const config = (fields: Partial<ModelConfig> = {}): ModelConfig => ({
  default_model: null,
  anthropic: null,
  scripts_folder: null,
  settings: {},
  ...fields,
})
const key = { api_key: 'k', base_url: null }

describe('models by name', () => {
  it.each([
    ['no key', config(), 'scripted/default'],
    ['a key', config({ anthropic: key }), 'anthropic/claude-sonnet-5-5'],
    ['a default', config({ anthropic: key, default_model: 'scripted/default' }), 'scripted/default'],
  ])('with %s have a default', (_, given, label) => {
    const models = new ModelProviders(given)
    expect(models.default_name).toBe(label)
    expect(models.resolve(null).label).toBe(label)
  })

  it.each([
    ['claude', 'names no model'],
    ['anthropic/', 'names no model'],
    ['anthropic/../../x', 'names no model'],
    ['anthropic/a b', 'names no model'],
    ['openai/gpt', 'there is no provider "openai"'],
    ['constructor/x', 'there is no provider'],
    ['anthropic/claude-x', 'needs ANTHROPIC_API_KEY'],
    ['scripted/nothing', 'there is no script nothing'],
    ['scripted/A', 'no script'],
    ['scripted/..', 'names no model'],
  ])('refuse %s and say what would work', (name, reason) => {
    const attempt = () => new ModelProviders(config()).resolve(name)
    expect(attempt).toThrow(CloisterError)
    expect(attempt).toThrow(reason)
    try {
      attempt()
    } catch (error) {
      expect((error as CloisterError).code).toBe('invalid_argument')
    }
  })

  it('find scripts in the folder first, as they are now', () => {
    const models = new ModelProviders(config({ scripts_folder: folder }))
    expect(models.resolve('scripted/default').label).toBe('scripted/default')
    expect(() => models.resolve('scripted/mine')).toThrow('no script mine')
    writeFileSync(join(folder, 'mine.json'), '{"steps": [{"say": "hello"}]}')
    expect(models.resolve('scripted/mine').label).toBe('scripted/mine')
    writeFileSync(join(folder, 'default.json'), '{"steps": []}')
    expect(() => models.resolve('scripted/default')).toThrow('cannot be used')
  })
})
