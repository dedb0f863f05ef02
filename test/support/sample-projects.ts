import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import type { ToolWorkspace } from './tool-workspace.ts'

/** Small real projects, each with a function that its tests cover by half. */
export const PROJECTS = {
  node: {
    'package.json': JSON.stringify({
      name: 'demo',
      version: '1.0.0',
      type: 'module',
      files: ['sum.js'],
      scripts: { test: 'node --test', build: 'echo built > built.txt', lint: 'node --check sum.js' },
    }),
    'sum.js': 'export function sum(a, b) {\n  return a + b\n}\n\nexport function unused() {\n  const x = 1\n  return x\n}\n',
    'sum.test.js':
      "import test from 'node:test'\nimport assert from 'node:assert'\nimport { sum } from './sum.js'\ntest('adds', () => assert.equal(sum(1, 1), 2))\n",
  },
  typescript: {
    'package.json': '{"name":"demo","version":"1.0.0","type":"module","scripts":{}}',
    'tsconfig.json': '{"compilerOptions":{"strict":true,"noEmit":true,"types":[]},"include":["src"]}',
    'src/sum.ts': 'export const sum = (a: number, b: number): number => a + b\n',
  },
  python: {
    'pyproject.toml':
      '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "demo"\nversion = "1.0"\n[tool.setuptools]\npy-modules = ["summing"]\n',
    'summing.py': 'def add(a, b):\n    return a + b\n\n\ndef unused():\n    x = 1\n    return x\n',
    'test_summing.py': 'from summing import add\n\n\ndef test_add():\n    assert add(1, 1) == 2\n',
  },
  go: {
    'go.mod': 'module example.com/demo\n\ngo 1.19\n',
    'main.go':
      'package main\n\nimport "fmt"\n\nfunc sum(a, b int) int { return a + b }\n\nfunc main() { fmt.Println(sum(1, 1)) }\n',
    'main_test.go':
      'package main\n\nimport "testing"\n\nfunc TestSum(t *testing.T) {\n\tif sum(1, 1) != 2 {\n\t\tt.Error("no")\n\t}\n}\n',
  },
  rust: {
    'Cargo.toml': '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n',
    'src/main.rs':
      'fn sum(a: i32, b: i32) -> i32 {\n    a + b\n}\n\nfn main() {\n    println!("{}", sum(1, 1));\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::sum(1, 1), 2);\n    }\n}\n',
  },
  c: {
    'main.c': '#include <stdio.h>\n#include "sum.h"\n\nint main(void) { return printf("%d\\n", sum(1, 1)) < 0; }\n',
    'lib/sum.c': '#include "../include/sum.h"\n\nint sum(int a, int b) { return a + b; }\n',
    'include/sum.h': 'int sum(int a, int b);\n',
  },
  cmake: {
    'CMakeLists.txt':
      'cmake_minimum_required(VERSION 3.13)\nproject(demo C)\nadd_executable(demo main.c)\ninstall(TARGETS demo)\n',
    'main.c': 'int main(void) { return 0; }\n',
  },
} as const satisfies Record<string, Record<string, string>>

/** One file in each that does not compile any more. */
export const BROKEN = {
  node: { 'sum.js': 'export function sum(a, b {\n' },
  typescript: { 'src/sum.ts': "export const sum: number = 'no'\n" },
  python: { 'summing.py': 'def add(a, b)\n    return a + b\n' },
  go: { 'main.go': 'package main\n\nfunc sum(a, b int) int { return "no" }\n\nfunc main() {}\n' },
  rust: { 'src/main.rs': 'fn main() {\n    let x: i32 = "no";\n}\n' },
  c: { 'main.c': 'int main(void) { return 0 }\n' },
  cmake: { 'main.c': 'int main(void) { return 0 }\n' },
} as const satisfies Record<keyof typeof PROJECTS, Record<string, string>>

/** What each needs in the sandbox. */
export const NEEDS = {
  node: ['npm', '--version'],
  typescript: ['npm', '--version'],
  python: ['python3', '--version'],
  go: ['go', 'version'],
  rust: ['cargo', '--version'],
  c: ['cc', '--version'],
  cmake: ['cmake', '--version'],
} as const satisfies Record<keyof typeof PROJECTS, string[]>

/** The packages of this checkout as the workspace's own. */
export function linkNodeModules(context: TestContext, workspace: ToolWorkspace, needed: string): void {
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
  if (!existsSync(join(modules, needed))) context.skip(`${needed} is not installed`)
  symlinkSync(modules, join(workspace.code, 'node_modules'))
}
