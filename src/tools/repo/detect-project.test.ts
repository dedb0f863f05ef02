import { describe, expect, it } from 'vitest'
import { flavorOf, typeByMarkers } from './detect-project.ts'

describe('what a project is, by the names at its root', () => {
  it.each<[string[], string, string | null]>([
    [['go.mod', 'package.json'], 'go', null],
    [['Cargo.toml', 'package.json'], 'rust', null],
    [['package.json'], 'node', 'npm'],
    [['package.json', 'tsconfig.json', 'pyproject.toml'], 'node', 'typescript'],
    [['pytest.ini'], 'python', null],
    [['pyproject.toml'], 'python', null],
    [['requirements.txt', 'pom.xml'], 'python', null],
    [['mvnw'], 'java', 'maven'],
    [['pom.xml'], 'java', 'maven'],
    [['gradlew'], 'java', 'gradle'],
    [['build.gradle.kts', 'CMakeLists.txt'], 'java', 'gradle'],
    [['CMakeLists.txt'], 'c', 'cmake'],
    [['main.c', 'README.md'], 'unknown', null],
    [[], 'unknown', null],
  ])('%j is %s', (names, type, flavor) => {
    const root = new Set(names)
    expect([typeByMarkers(root), flavorOf(typeByMarkers(root), root)]).toEqual([type, flavor])
  })
})
