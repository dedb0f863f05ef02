/** So that what is printed of changes depends on no configuration, and starts no program. (`--unified` would switch the patch on.) */
export const DIFF_FORMAT = [
  '--no-color',
  '--no-ext-diff',
  '--no-textconv',
  '--submodule=short',
  '--ignore-submodules=dirty',
  '--find-renames',
  '--src-prefix=a/',
  '--dst-prefix=b/',
  '--no-relative',
  '--diff-algorithm=default',
]
