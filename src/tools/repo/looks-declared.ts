const KEYWORDS =
  /(?:^|[^\w$.])(?:function\*?|func|fn|fun|def|defp|defmodule|defmacro|class|interface|protocol|type|typedef|enum|enum class|struct|union|trait|mod|module|namespace|record|object|const|let|var|val|static|final|macro_rules!|define|sub)\s+(?:mut\s+)?[*&]*$/
/** A method of Go: `func (r *T) name`. */
const GO_METHOD = /^func\s+\([^)]*\)\s*$/
const MODIFIERS =
  /^\s*(?:(?:export|default|public|private|protected|internal|static|async|abstract|override|readonly|get|set|final|virtual|inline)\s+)*\*?$/
/** A type before a name, as C and Java write it: `static char *`. */
const TYPED = /^\s*(?:[A-Za-z_][\w.<>[\],?:]*(?:\s+|\s*[*&]+\s*))+$/
const NO_TYPE =
  /\b(?:return|new|else|await|yield|throw|case|in|of|not|and|or|go|defer|import|from|delete|typeof|if|while|for)\s+[*&]*$/

/**
 * Does a name that stands between these two parts of a line look declared there? By the look of it, in the languages of the
 * C family, Go, Rust, Python, Ruby and shells; it may be wrong. Pure.
 */
export function looksDeclared(before: string, after: string): boolean {
  if (KEYWORDS.test(before) || GO_METHOD.test(before)) return true
  // Go, and assignments at the beginning of a line: what Python and shells have for constants.
  if (/^\s*:=/.test(after)) return true
  if (before === '' && /^\s*(?::[^=]*)?=(?![=>])/.test(after)) return true
  const parameters = /^\s*(?:<[^>]*>)?\([^;]*$/.test(after)
  const body = /\{\s*(?:\/[/*].*)?$/.test(after)
  if (parameters && body && MODIFIERS.test(before)) return true
  if (!TYPED.test(before) || NO_TYPE.test(before)) return false
  return parameters ? body || /\)\s*$/.test(after) : /^\s*(?:=(?!=)|;|\[)/.test(after)
}
