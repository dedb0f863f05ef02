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
  openai: null,
  compat: null,
  scripts_folder: null,
  settings: {},
  ...fields,
})
const key = { api_key: 'k', base_url: null }

describe('models by name', () => {
  it.each([
    ['no key', config(), 'scripted/default'],
    ['a key', config({ anthropic: key }), 'anthropic/claude-sonnet-5-5'],
    ['a key of OpenAI', config({ openai: key }), 'openai/gpt-5.5'],
    ['keys of both', config({ anthropic: key, openai: key }), 'anthropic/claude-sonnet-5-5'],
    ['a default', config({ anthropic: key, default_model: 'scripted/default' }), 'scripted/default'],
  ])('with %s have a default', (_, given, label) => {
    const models = new ModelProviders(given)
    expect(models.default_name).toBe(label)
    expect(models.resolve(null).label).toBe(label)
  })

  it('have what the administrator says of them, else what is known, else a guess on the safe side', () => {
    const price = { input: 1, output: 2 }
    const settings = { 'compat/org/model:7b': { context_window: 8000, price, fallback: 'scripted/default' } }
    const models = new ModelProviders(
      config({ anthropic: key, openai: key, compat: { api_key: null, base_url: 'http://127.0.0.1:1/v1' }, settings }),
    )
    expect(models.resolve('compat/org/model:7b')).toMatchObject({ context_window: 8000, price, fallback: 'scripted/default' })
    expect(models.resolve('compat/other')).toMatchObject({ context_window: 128_000, price: null, fallback: null })
    expect(models.resolve('anthropic/claude-x').context_window).toBe(200_000)
    expect(models.resolve('scripted/default')).toMatchObject({
      context_window: Number.POSITIVE_INFINITY,
      price: { input: 0, output: 0 },
    })
  })

  it.each([
    ['claude', 'names no model'],
    ['anthropic/', 'names no model'],
    ['anthropic/../../x', 'names no model'],
    ['anthropic/a b', 'names no model'],
    ['openai/gpt', 'needs OPENAI_API_KEY'],
    ['compat/llama', 'needs CLOISTER_COMPAT_BASE_URL'],
    ['openai/../../x', 'names no model'],
    ['scripted/a/b', 'names no model'],
    ['other/gpt', 'there is no provider "other"'],
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
