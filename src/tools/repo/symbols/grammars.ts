/** What a kind of syntax node declares. `inside`: the same in a class or an implementation. */
export interface Declaration {
  kind: string
  inside?: string
  /** Only where nothing but these lies above it, so that local variables are none. */
  topLevel?: boolean
}

export interface Grammar {
  language: string
  /** Resolved where the server's packages are. */
  wasm: string
  declarations: Record<string, Declaration>
  /** Nodes whose functions are methods. */
  containers: ReadonlySet<string>
}

const JAVASCRIPT: Record<string, Declaration> = {
  function_declaration: { kind: 'function' },
  generator_function_declaration: { kind: 'function' },
  class_declaration: { kind: 'class' },
  method_definition: { kind: 'method' },
  variable_declarator: { kind: 'variable', topLevel: true },
}

const TYPESCRIPT: Record<string, Declaration> = {
  ...JAVASCRIPT,
  abstract_class_declaration: { kind: 'class' },
  abstract_method_signature: { kind: 'method' },
  function_signature: { kind: 'function' },
  interface_declaration: { kind: 'interface' },
  type_alias_declaration: { kind: 'type' },
  enum_declaration: { kind: 'enum' },
  internal_module: { kind: 'namespace' },
  module: { kind: 'namespace' },
}

function grammar(language: string, wasm: string, declarations: Record<string, Declaration>, ...containers: string[]): Grammar {
  return { language, wasm, declarations, containers: new Set(containers) }
}

const javascript = grammar('javascript', 'tree-sitter-javascript/tree-sitter-javascript.wasm', JAVASCRIPT, 'class_body')
const typescript = grammar('typescript', 'tree-sitter-typescript/tree-sitter-typescript.wasm', TYPESCRIPT, 'class_body')
const tsx = grammar('tsx', 'tree-sitter-typescript/tree-sitter-tsx.wasm', TYPESCRIPT, 'class_body')
const python = grammar(
  'python',
  'tree-sitter-python/tree-sitter-python.wasm',
  {
    function_definition: { kind: 'function', inside: 'method' },
    class_definition: { kind: 'class' },
    assignment: { kind: 'variable', topLevel: true },
  },
  'class_definition',
)
const go = grammar('go', 'tree-sitter-go/tree-sitter-go.wasm', {
  function_declaration: { kind: 'function' },
  method_declaration: { kind: 'method' },
  type_spec: { kind: 'type' },
  type_alias: { kind: 'type' },
  const_spec: { kind: 'constant', topLevel: true },
  var_spec: { kind: 'variable', topLevel: true },
})
const rust = grammar(
  'rust',
  'tree-sitter-rust/tree-sitter-rust.wasm',
  {
    function_item: { kind: 'function', inside: 'method' },
    function_signature_item: { kind: 'function', inside: 'method' },
    struct_item: { kind: 'struct' },
    enum_item: { kind: 'enum' },
    union_item: { kind: 'union' },
    trait_item: { kind: 'trait' },
    mod_item: { kind: 'module' },
    type_item: { kind: 'type' },
    const_item: { kind: 'constant' },
    static_item: { kind: 'variable' },
    macro_definition: { kind: 'macro' },
  },
  'impl_item',
  'trait_item',
)
const java = grammar('java', 'tree-sitter-java/tree-sitter-java.wasm', {
  class_declaration: { kind: 'class' },
  record_declaration: { kind: 'record' },
  interface_declaration: { kind: 'interface' },
  annotation_type_declaration: { kind: 'interface' },
  enum_declaration: { kind: 'enum' },
  method_declaration: { kind: 'method' },
  constructor_declaration: { kind: 'constructor' },
  field_declaration: { kind: 'field' },
})
const c = grammar('c', 'tree-sitter-c/tree-sitter-c.wasm', {
  function_definition: { kind: 'function' },
  declaration: { kind: 'variable', topLevel: true },
  struct_specifier: { kind: 'struct' },
  union_specifier: { kind: 'union' },
  enum_specifier: { kind: 'enum' },
  type_definition: { kind: 'type' },
  preproc_def: { kind: 'macro' },
  preproc_function_def: { kind: 'macro' },
})

const BY_EXTENSION: Record<string, Grammar> = {
  '.js': javascript,
  '.mjs': javascript,
  '.cjs': javascript,
  '.jsx': javascript,
  '.ts': typescript,
  '.mts': typescript,
  '.cts': typescript,
  '.tsx': tsx,
  '.py': python,
  '.pyi': python,
  '.go': go,
  '.rs': rust,
  '.java': java,
  '.c': c,
  '.h': c,
}

/** Null: there is no grammar for such files. */
export function grammarFor(extension: string): Grammar | null {
  return Object.hasOwn(BY_EXTENSION, extension) ? (BY_EXTENSION[extension] ?? null) : null
}
