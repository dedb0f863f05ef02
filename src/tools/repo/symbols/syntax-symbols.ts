import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Language, type Node, Parser } from 'web-tree-sitter'
import { type FileSymbol, MOST_SYMBOLS, makeSymbol } from './file-symbol.ts'
import type { Grammar } from './grammars.ts'

/** What may lie between the file and a declaration that is still at its top level. */
const TOP = new Set([
  'program',
  'module',
  'source_file',
  'translation_unit',
  'export_statement',
  'lexical_declaration',
  'variable_declaration',
  'expression_statement',
  'const_declaration',
  'var_declaration',
  'var_spec_list',
  'preproc_if',
  'preproc_ifdef',
  'preproc_else',
  'linkage_specification',
  'declaration_list',
  'ambient_declaration',
])

/** Parses and walks the syntax tree. Blocks its thread for as long as that takes: to be called in one of its own. */
export async function syntaxSymbols(
  source: string,
  grammar: Pick<Grammar, 'wasm' | 'declarations' | 'containers'>,
): Promise<{ symbols: FileSymbol[]; truncated: boolean }> {
  await Parser.init()
  const wasm = await readFile(fileURLToPath(import.meta.resolve(grammar.wasm)))
  const parser = new Parser().setLanguage(await Language.load(wasm))
  const tree = parser.parse(source)
  if (!tree) throw new Error('the parser gave no tree')
  const symbols: FileSymbol[] = []
  // Of each ancestor: is it a container, and is all above still the top level?
  const above: { inside: boolean; top: boolean }[] = []
  const cursor = tree.walk()
  let state = { inside: false, top: true }
  for (;;) {
    const type = cursor.nodeType
    const declaration = Object.hasOwn(grammar.declarations, type) ? grammar.declarations[type] : undefined
    if (declaration && cursor.nodeIsNamed && (!declaration.topLevel || state.top)) {
      if (symbols.length >= MOST_SYMBOLS) return { symbols, truncated: true }
      const node = cursor.currentNode
      const kind = (state.inside && declaration.inside) || declaration.kind
      symbols.push(...symbolsOf(node, kind))
    }
    if (cursor.gotoFirstChild()) {
      above.push(state)
      // A function within a method is no method.
      const inside = grammar.containers.has(type) || (state.inside && !(type in grammar.declarations))
      state = { inside, top: state.top && TOP.has(type) }
      continue
    }
    while (!cursor.gotoNextSibling()) {
      if (!cursor.gotoParent()) return { symbols, truncated: false }
      state = above.pop() ?? state
    }
  }
}

/** A declaration may declare several names (`a, b = 1, 2`), or none that is of interest. */
function symbolsOf(node: Node, kind: string): FileSymbol[] {
  const names = namesOf(node)
  const body = node.childForFieldName('body')
  const line = node.startPosition.row + 1
  // Forward declarations and uses of a type (`struct a *x`) declare nothing.
  if (/^(?:struct|union|enum)_specifier$/.test(node.type) && !body) return []
  const text = body ? node.text.slice(0, Math.max(0, body.startIndex - node.startIndex)) : (node.text.split('\n')[0] ?? '')
  return names.map((name) => makeSymbol(refined(node, kind), name, line, text))
}

function refined(node: Node, kind: string): string {
  if (node.type === 'variable_declarator') {
    const value = node.childForFieldName('value')?.type ?? ''
    if (/^(?:arrow_function|function_expression|generator_function)$/.test(value)) return 'function'
    if (value === 'class') return 'class'
    return node.parent?.child(0)?.text === 'const' ? 'constant' : kind
  }
  if (node.type === 'type_spec') {
    const type = node.childForFieldName('type')?.type
    return type === 'struct_type' ? 'struct' : type === 'interface_type' ? 'interface' : kind
  }
  if (node.type === 'declaration' && declaratorOf(node)?.type === 'function_declarator') return 'prototype'
  return kind
}

function namesOf(node: Node): string[] {
  if (node.type === 'assignment') {
    const left = node.childForFieldName('left')
    return left?.type === 'identifier' ? [left.text] : []
  }
  if (node.type === 'field_declaration')
    return node.childrenForFieldName('declarator').flatMap((each) => each?.childForFieldName('name')?.text ?? [])
  const named = node.childrenForFieldName('name').flatMap((each) => (each ? [each] : []))
  // Patterns (`const { a } = x`) have no name of their own.
  if (named.length > 0) return named.filter((each) => !/_pattern$/.test(each.type) && each.type !== ',').map((each) => each.text)
  let declarator = declaratorOf(node)
  for (let depth = 0; declarator && depth < 20; depth++) {
    const inner: Node | null = declarator.childForFieldName('declarator') ?? parenthesized(declarator)
    if (!inner) break
    declarator = inner
  }
  return declarator && /identifier$/.test(declarator.type) ? [declarator.text] : []
}

function declaratorOf(node: Node): Node | null {
  let declarator = node.childForFieldName('declarator')
  while (declarator?.type === 'pointer_declarator' || declarator?.type === 'init_declarator')
    declarator = declarator.childForFieldName('declarator')
  return declarator
}

function parenthesized(node: Node): Node | null {
  return node.type === 'parenthesized_declarator' ? node.namedChild(0) : null
}
