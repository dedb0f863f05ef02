import { type FileSymbol, MOST_SYMBOLS, makeSymbol } from './file-symbol.ts'

/** `kind`, and a pattern whose group `name` is the symbol's name. Tried on one line at a time. */
type Patterns = [kind: string, pattern: RegExp][]

const MODIFIERS = String.raw`(?:(?:public|private|protected|internal|open|abstract|final|sealed|static|override|export|async|virtual|inline|data|partial|suspend|fileprivate)\s+)*`
const named = (keywords: string, name = String.raw`[A-Za-z_$][\w$]*`) =>
  new RegExp(String.raw`^\s{0,80}${MODIFIERS}(?:${keywords})\s+(?<name>${name})`)

const TYPES: Patterns = [
  ['class', named('class|object|record')],
  ['interface', named('interface|protocol')],
  ['struct', named('struct')],
  ['enum', named('enum(?:\\s+class)?')],
  ['trait', named('trait')],
]

const LANGUAGES: Record<string, { language: string; patterns: Patterns }> = {
  '.rb': {
    language: 'ruby',
    patterns: [
      ['method', named('def', String.raw`(?:self\.)?[A-Za-z_]\w*[?!=]?`)],
      ['class', named('class', String.raw`[A-Z][\w:]*`)],
      ['module', named('module', String.raw`[A-Z][\w:]*`)],
    ],
  },
  '.php': {
    language: 'php',
    patterns: [...TYPES, ['function', named('function')], ['namespace', named('namespace', String.raw`[\w\\]+`)]],
  },
  '.kt': { language: 'kotlin', patterns: [...TYPES, ['function', named('fun', String.raw`(?:[\w<>.]+\.)?\w+`)]] },
  '.swift': { language: 'swift', patterns: [...TYPES, ['function', named('func')], ['extension', named('extension')]] },
  '.scala': { language: 'scala', patterns: [...TYPES, ['method', named('def')]] },
  '.cs': {
    language: 'csharp',
    patterns: [
      ...TYPES,
      ['namespace', named('namespace', String.raw`[\w.]+`)],
      [
        'method',
        /^\s{0,80}(?:(?:public|private|protected|internal|static|async|override|virtual)\s+)+[\w<>[\],.?]+\s+(?<name>\w+)\s*\(/,
      ],
    ],
  },
  '.cpp': {
    language: 'cpp',
    patterns: [
      ...TYPES,
      ['namespace', named('namespace', String.raw`[\w:]+`)],
      ['macro', /^#\s*define\s+(?<name>\w+)/],
      ['function', /^(?!\s|#|return\b|else\b|using\b|typedef\b)[\w:<>,*&~ ]{0,200}?[\s*&](?<name>[\w:~]+)\s*\([^;]*$/],
    ],
  },
  '.sh': {
    language: 'shell',
    patterns: [
      ['function', /^\s{0,80}function\s+(?<name>[\w:-]+)/],
      ['function', /^\s{0,80}(?<name>[\w:-]+)\s*\(\)\s*\{?/],
    ],
  },
  '.lua': { language: 'lua', patterns: [['function', /^\s{0,80}(?:local\s+)?function\s+(?<name>[\w.:]+)/]] },
  '.ex': {
    language: 'elixir',
    patterns: [
      ['module', named('defmodule', String.raw`[\w.]+`)],
      ['function', named('defp?', String.raw`\w+[?!]?`)],
    ],
  },
  '.sql': {
    language: 'sql',
    patterns: [
      [
        'definition',
        /^\s{0,80}create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+|unique\s+)?(?:table|view|function|procedure|index|trigger|type)\s+(?:if\s+not\s+exists\s+)?(?<name>[\w."]+)/i,
      ],
    ],
  },
  '.md': { language: 'markdown', patterns: [['heading', /^#{1,6}\s+(?<name>\S.*)$/]] },
}

const ALIASES: Record<string, string> = {
  '.cc': '.cpp',
  '.cxx': '.cpp',
  '.hpp': '.cpp',
  '.hh': '.cpp',
  '.kts': '.kt',
  '.bash': '.sh',
  '.exs': '.ex',
}

const ANY: Patterns = [
  ...TYPES,
  ['function', named('function|func|fn|def|fun|sub|proc')],
  ['module', named('module|namespace|package', String.raw`[\w.:]+`)],
]

/** Characters. What is written on longer lines was not written by people. */
const LONGEST_LINE = 1000

/** For languages without a grammar: what a line looks like. Knows of no comments and no nesting. Pure. */
export function patternSymbols(
  source: string,
  extension: string,
): { language: string; symbols: FileSymbol[]; truncated: boolean } {
  const key = Object.hasOwn(ALIASES, extension) ? (ALIASES[extension] as string) : extension
  const { language, patterns } = Object.hasOwn(LANGUAGES, key)
    ? (LANGUAGES[key] as { language: string; patterns: Patterns })
    : { language: 'unknown', patterns: ANY }
  const symbols: FileSymbol[] = []
  for (const [index, line] of source.split('\n').entries()) {
    if (line.length > LONGEST_LINE) continue
    for (const [kind, pattern] of patterns) {
      const name = pattern.exec(line)?.groups?.['name']
      if (name === undefined) continue
      if (symbols.length >= MOST_SYMBOLS) return { language, symbols, truncated: true }
      symbols.push(makeSymbol(kind, name.trim(), index + 1, line))
      break
    }
  }
  return { language, symbols, truncated: false }
}
