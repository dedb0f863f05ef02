/** Tool-name patterns: `fs.*`, `git.push`, `*`. A star stands for any characters. */
export function matchesToolPattern(pattern: string, toolName: string): boolean {
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')
  return new RegExp(`^${source}$`).test(toolName)
}
