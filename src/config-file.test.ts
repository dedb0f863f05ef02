import { describe, expect, it } from 'vitest'
import { ConfigFileError, EMPTY_CONFIG_FILE, parseConfigFile, readConfigFile } from './config-file.ts'

describe('the configuration file', () => {
  it('says what models cost and hold, and who stands in for them', () => {
    const { models } = parseConfigFile(`
models:
  anthropic/claude-sonnet-5-5:
    context_window: 200000
    price: { input: 3, output: 15, cache_read: 0.3 }
    fallback: openai/gpt-5.5
`)
    expect(models['anthropic/claude-sonnet-5-5']).toEqual({
      context_window: 200_000,
      price: { input: 3, output: 15, cache_read: 0.3 },
      fallback: 'openai/gpt-5.5',
    })
  })

  it('may be empty', () => {
    expect(parseConfigFile('')).toEqual(EMPTY_CONFIG_FILE)
    expect(parseConfigFile('# nothing\n')).toEqual(EMPTY_CONFIG_FILE)
  })

  const refused: [string, string, RegExp][] = [
    ['an unknown key', 'models: {}\nmodel: {}\n', /Unrecognized key: "model"/],
    ['an unknown key below', 'models:\n  openai/x:\n    pric: 1\n', /line 3: models\.openai\/x: Unrecognized key: "pric"/],
    [
      'a wrong value, with its line',
      'models:\n  openai/x:\n    price:\n      input: cheap\n      output: 1\n',
      /line 4: models\.openai\/x\.price\.input: /,
    ],
    ['a price below nothing', 'models:\n  openai/x:\n    price: { input: -1, output: 1 }\n', /models\.openai\/x\.price\.input: /],
    ['a name that is no model', 'models:\n  sonnet: {}\n', /models\.sonnet: /],
    ['a key twice', 'models: {}\nmodels: {}\n', /Map keys must be unique/],
    ['broken YAML', 'models: [\n', /line 2|Flow sequence/],
    ['a tag', 'models: !!js/function "() => 1"\n', /tag/i],
    ['a list', '- models\n', /expected object/],
    ['aliases without end', `a: &a [x]\nb: &b [${'*a, '.repeat(20)}]\nc: [${'*b, '.repeat(20)}]\n`, /alias/i],
  ]
  it.each(refused)('refuses %s', (_name, text, message) => {
    expect(() => parseConfigFile(text)).toThrow(message)
    expect(() => parseConfigFile(text)).toThrow(ConfigFileError)
  })

  it('says when it is not there', () => {
    expect(() => readConfigFile('/nowhere/cloister.yaml')).toThrow('it cannot be read (ENOENT)')
  })
})
