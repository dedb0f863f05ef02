// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Maven writes its properties so
import { describe, expect, it } from 'vitest'
import { parseCargoLock } from './cargo-lock.ts'
import { dependency, licenseText } from './dependency-record.ts'
import { parseGoMod, parseGoSum } from './go-modules.ts'
import { parseJsonMap } from './json-object.ts'
import { parsePom } from './maven-pom.ts'
import { parseNpmLock, parsePackageJson } from './npm-lock.ts'
import { parseMetadata, parseRequirements } from './pip-requirements.ts'
import { parsePnpmLock } from './pnpm-lock.ts'
import { parsePythonLock } from './python-lock.ts'
import { parseYarnLock } from './yarn-lock.ts'

const short = (all: { name: string; version: string | null; license?: string | null }[] | null) =>
  all?.map(({ name, version, license }) => [name, version, ...(license ? [license] : [])])

describe('lockfiles of npm', () => {
  it('are read since npm 7', () => {
    const lock = {
      lockfileVersion: 3,
      packages: {
        '': { name: 'demo', dependencies: { a: '1' } },
        'packages/own': { version: '1.0.0' },
        'node_modules/own': { resolved: 'packages/own', link: true },
        'node_modules/a': { version: '1.2.3', license: 'MIT' },
        'node_modules/a/node_modules/@s/b': { version: '2.0.0' },
        'node_modules/alias': { name: 'real', version: '3.0.0', license: 'ISC' },
      },
    }
    const parsed = parseNpmLock(JSON.stringify(lock), 100)
    expect(short(parsed)).toEqual([
      ['a', '1.2.3', 'MIT'],
      ['@s/b', '2.0.0'],
      ['real', '3.0.0', 'ISC'],
    ])
    expect(parsed?.[1]?.directory).toBe('node_modules/a/node_modules/@s/b')
    expect(parseNpmLock(JSON.stringify(lock), 1)).toHaveLength(1)
  })

  it('are read from before', () => {
    const lock = {
      lockfileVersion: 1,
      dependencies: { a: { version: '1.0.0', dependencies: { b: { version: '2.0.0' } } }, own: { version: 'file:own' } },
    }
    expect(short(parseNpmLock(JSON.stringify(lock), 100))).toEqual([
      ['a', '1.0.0'],
      ['b', '2.0.0'],
    ])
  })

  it('do not pollute anything', () => {
    const evil =
      '{"lockfileVersion":3,"packages":{"node_modules/__proto__":{"version":"1.0.0","__proto__":{"polluted":true}},"__proto__":{"polluted":true},"node_modules/x":{"__proto__":{"version":"6.6.6"}}}}'
    expect(short(parseNpmLock(evil, 100))).toEqual([
      ['__proto__', '1.0.0'],
      ['x', null],
    ])
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect(parseJsonMap('{"a":1}')?.get('toString')).toBeUndefined()
  })

  it.each(['', '{', '[]', 'null', '7', '{"packages":7}', '{"packages":null,"dependencies":[]}', '{}'])('are not %j', (text) => {
    expect(parseNpmLock(text, 100)).toBeNull()
  })

  it('may be missing: package.json then says what is asked for', () => {
    const manifest = { dependencies: { a: '1.2.3', b: '^2.0.0' }, devDependencies: { c: '*' }, peerDependencies: { d: '1.0.0' } }
    expect(short(parsePackageJson(JSON.stringify(manifest), 100))).toEqual([
      ['a', '1.2.3'],
      ['b', null],
      ['c', null],
    ])
    expect(parsePackageJson('[]', 100)).toBeNull()
  })
})

describe('requirements of pip', () => {
  it('are read line by line', () => {
    const text = `# comment
Flask==2.0.1
requests[socks] == 2.31.0 ; python_version < "3.12"   # why
zope.interface>=5
Some_Name ===1.0 --hash=sha256:abc
pinned==1.0 \\
    --hash=sha256:def
star==1.*
two==1.0,<2
-r dev.txt
--requirement=more.txt
-e .
./local
https://example.com/x.whl
direct @ https://example.com/direct-1.0.whl
`
    const { dependencies, includes } = parseRequirements(text, 100)
    expect(short(dependencies)).toEqual([
      ['flask', '2.0.1'],
      ['requests', '2.31.0'],
      ['zope-interface', null],
      ['some-name', '1.0'],
      ['pinned', '1.0'],
      ['star', null],
      ['two', null],
      ['direct', null],
    ])
    expect(includes).toEqual(['dev.txt', 'more.txt'])
  })

  it('have their licences in what is installed', () => {
    expect(parseMetadata('Metadata-Version: 2.1\nName: Demo_Pkg\nVersion: 1.0\nLicense: MIT\n\nLicense: GPL\n')).toEqual({
      name: 'demo-pkg',
      version: '1.0',
      ecosystem: 'pypi',
      license: 'MIT',
    })
    expect(
      parseMetadata('Name: x\nVersion: 1\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\n')?.license,
    ).toBe('BSD License')
    expect(parseMetadata('Name: x\nVersion: 1\nLicense: long\nLicense-Expression: Apache-2.0\n')?.license).toBe('Apache-2.0')
    expect(parseMetadata('Version: 1\n')).toBeNull()
  })
})

describe('modules of Go', () => {
  it('are what go.mod requires, replacements applied', () => {
    const text = `module example.com/demo
go 1.19
require example.com/one v1.0.0 // indirect
require (
	example.com/two v2.0.0+incompatible
	example.com/three v0.0.0-20200101000000-abcdefabcdef // indirect
	example.com/local v1.0.0
)
replace example.com/one => example.com/fork v1.1.0
replace (
	example.com/two v2.0.0+incompatible => example.com/two v2.0.1
	example.com/local => ../local
)
exclude example.com/old v0.1.0
`
    const { dependencies, complete } = parseGoMod(text, 100)
    expect(short(dependencies)).toEqual([
      ['example.com/fork', 'v1.1.0'],
      ['example.com/two', 'v2.0.1'],
      ['example.com/three', 'v0.0.0-20200101000000-abcdefabcdef'],
    ])
    expect(complete).toBe(true)
    expect(parseGoMod('module x\ngo 1.16\n', 100).complete).toBe(false)
    expect(parseGoMod('module x\n', 100).complete).toBe(false)
  })

  it('are for older projects also what go.sum vouches for', () => {
    expect(short(parseGoSum('a v1.0.0 h1:x=\na v1.0.0/go.mod h1:y=\nb v2.0.0/go.mod h1:z=\nnonsense\n', 100))).toEqual([
      ['a', 'v1.0.0'],
    ])
  })
})

describe('Cargo.lock', () => {
  it('lists packages, of which those without a source are the own ones', () => {
    const text =
      'version = 3\n\n[[package]]\nname = "demo"\nversion = "0.1.0"\ndependencies = [\n "serde",\n]\n\n[[package]]\nname = "serde"\nversion = "1.0.1"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "x"\n\n[metadata]\nname = "no"\n'
    expect(short(parseCargoLock(text, 100))).toEqual([['serde', '1.0.1']])
    expect(parseCargoLock('not toml at all [[[', 100)).toEqual([])
  })
})

describe('pom.xml', () => {
  const pom = (inside: string) => `<?xml version="1.0"?>\n<!-- a > b --><project xmlns="x">${inside}</project>`
  const one = (version: string) => `<dependency><groupId>g</groupId><artifactId>a</artifactId>${version}</dependency>`

  it.each<[string, string, unknown[][]]>([
    ['a version', pom(`<dependencies>${one('<version>1.0</version>')}</dependencies>`), [['g:a', '1.0']]],
    [
      'a property',
      pom(`<properties><v>2.0</v></properties><dependencies>${one('<version>${v}</version>')}</dependencies>`),
      [['g:a', '2.0']],
    ],
    [
      'a managed version',
      pom(
        `<dependencyManagement><dependencies>${one('<version>3.0</version>')}</dependencies></dependencyManagement><dependencies>${one('')}</dependencies>`,
      ),
      [['g:a', '3.0']],
    ],
    ['an unknown property', pom(`<dependencies>${one('<version>${parent.v}</version>')}</dependencies>`), [['g:a', null]]],
    [
      'a property of itself',
      pom(`<properties><v>\${v}\${v}</v></properties><dependencies>${one('<version>${v}</version>')}</dependencies>`),
      [['g:a', null]],
    ],
    [
      'dependencies of a plugin',
      pom(`<build><plugins><plugin><dependencies>${one('<version>1</version>')}</dependencies></plugin></plugins></build>`),
      [],
    ],
    ['a section of text', pom(`<dependencies>${one('<version><![CDATA[1.0]]></version>')}</dependencies>`), [['g:a', '1.0']]],
    [
      'exclusions',
      pom(
        `<dependencies>${one('<version>1</version><exclusions><exclusion><groupId>no</groupId></exclusion></exclusions>')}</dependencies>`,
      ),
      [['g:a', '1']],
    ],
  ])('with %s', (_, xml, wanted) => {
    expect(short(parsePom(xml, 100))).toEqual(wanted)
  })

  it('expands no entity, of its own or from a file', () => {
    const bomb = `<!DOCTYPE project [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>`
    const xml = `${bomb}<project><dependencies>${one('<version>&f;&b;</version>')}</dependencies></project>`
    expect(short(parsePom(xml, 100))).toEqual([['g:a', '&f;&b;']])
  })

  it.each([
    '',
    'hello',
    '<html></html>',
    '<',
    '<!',
    '<!DOCTYPE x [',
    '<![CDATA[',
    '<!--',
    '<project',
    '</project>',
    '<<<>>>',
    '<a/>'.repeat(10),
    '</a>'.repeat(10),
  ])('is none of %j, and that does not take long', (text) => {
    expect(parsePom(text, 100)).toBeNull()
  })
})

describe('what anybody wrote', () => {
  it('is not read for long, whatever it is', () => {
    for (const piece of [
      'a',
      ' ',
      '[',
      '\\\n',
      '<a>',
      '<!DOCTYPE [',
      '=',
      '"',
      '[[package]]\n',
      'x==1\n',
      'require (\n',
      '<!--',
      '${v}',
      'node_modules/',
    ])
      for (const text of [piece.repeat(200_000), `<project><properties>${piece.repeat(50_000)}`]) {
        parseCargoLock(text, 5000)
        parseGoMod(text, 5000)
        parseGoSum(text, 5000)
        parsePom(text, 5000)
        parseNpmLock(text, 5000)
        parseRequirements(text, 5000)
        parseMetadata(text)
      }
  })

  it('gives no names that are none', () => {
    for (const name of ['', 'a b', 'a\n', 'a\0', 'x'.repeat(301), 7, null, {}]) expect(dependency('npm', name, '1')).toBeNull()
    for (const version of ['', 'a b', 'x'.repeat(201), 7, null]) expect(dependency('npm', 'a', version)?.version).toBeNull()
  })

  it.each([
    ['MIT', 'MIT'],
    [{ type: 'MIT', url: 'x' }, 'MIT'],
    [[{ type: 'MIT' }, 'ISC'], '(MIT OR ISC)'],
    [['MIT'], 'MIT'],
    [[], null],
    [7, null],
    ['', null],
    ['x'.repeat(301), null],
    [{ __proto__: { type: 'MIT' } }, null],
  ])('licence %j is %s', (license, text) => {
    expect(licenseText(license)).toBe(text)
  })
})

describe('lockfiles of pnpm', () => {
  const nine = `lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.2.3

packages:

  '@s/b@2.0.0':
    resolution: {integrity: sha512-x}
    engines: {node: '>=8'}

  a@1.2.3:
    resolution: {integrity: sha512-x}

  git-one@https://codeload.github.com/x/y/tar.gz/abc:
    resolution: {tarball: https://codeload.github.com/x/y/tar.gz/abc}

  own@file:own:
    resolution: {directory: own, type: directory}

snapshots:

  a@1.2.3(peer@4.0.0):
    dependencies:
      '@s/b': 2.0.0
`

  it('are read in the form of now', () => {
    const parsed = parsePnpmLock(nine, 100)
    expect(short(parsed)).toEqual([
      ['@s/b', '2.0.0'],
      ['a', '1.2.3'],
      ['git-one', null],
    ])
    expect(parsed?.map(({ directory }) => directory)).toEqual([
      'node_modules/.pnpm/@s+b@2.0.0/node_modules/@s/b',
      'node_modules/.pnpm/a@1.2.3/node_modules/a',
      null,
    ])
    expect(parsePnpmLock(nine, 1)).toHaveLength(1)
  })

  it.each([
    ['6.0', '  /a@1.2.3(peer@4.0.0):\n    dev: true\n  /@s/b@2.0.0:\n    dev: false\n'],
    ['5.4', '  /a/1.2.3_peer@4.0.0:\n    dev: true\n  /@s/b/2.0.0:\n    dev: false\n'],
  ])('are read in the form of %s', (version, packages) => {
    const text = `lockfileVersion: ${version}\n\npackages:\n\n${packages}`
    expect(short(parsePnpmLock(text, 100))).toEqual([
      ['a', '1.2.3'],
      ['@s/b', '2.0.0'],
    ])
  })

  it.each(['', '{}', 'packages:\n  a@1.0.0: {}\n', '&a [*a, *a]'])('are not %j', (text) => {
    expect(parsePnpmLock(text, 100)).toBeNull()
  })
})

describe('lockfiles of Yarn', () => {
  it('are read of version 1', () => {
    const text = `# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.
# yarn lockfile v1


"@s/b@^2.0.0", "@s/b@^2.1.0":
  version "2.1.5"
  resolved "https://registry.example.test/b.tgz#abc"
  dependencies:
    version "^9.0.0"

a@1:
  version "1.1.1"

"alias@npm:@s/real@^3.0.0":
  version "3.0.1"

"own@file:./own":
  version "0.0.0"
`
    expect(short(parseYarnLock(text, 100))).toEqual([
      ['@s/b', '2.1.5'],
      ['a', '1.1.1'],
      ['@s/real', '3.0.1'],
    ])
    expect(parseYarnLock(text, 2)).toHaveLength(2)
  })

  it('are read of later versions', () => {
    const text = `__metadata:
  version: 8
  cacheKey: 10

"@s/b@npm:^2.0.0, @s/b@npm:^2.1.0":
  version: 2.1.5
  resolution: "@s/b@npm:2.1.5"
  linkType: hard

"alias@npm:real@^3.0.0":
  version: 3.0.1
  linkType: hard

"demo@workspace:.":
  version: 0.0.0-use.local
  linkType: soft
`
    expect(short(parseYarnLock(text, 100))).toEqual([
      ['@s/b', '2.1.5'],
      ['real', '3.0.1'],
    ])
  })

  it('are nothing else', () => {
    expect(parseYarnLock('a@1:\n  version "1.0.0"\n', 100)).toBeNull()
  })
})

describe('lockfiles of Poetry and uv', () => {
  it('are read without what lies in the repository', () => {
    const poetry = `[[package]]
name = "Attrs"
version = "23.1.0"
files = [
    {file = "attrs.whl", hash = "sha256:x"},
]

[package.dependencies]
version = "9.9.9"

[[package]]
name = "own"
version = "0.1.0"

[package.source]
type = "directory"
url = "own"

[metadata]
lock-version = "2.0"
name = "nothing"
`
    expect(short(parsePythonLock(poetry, 100))).toEqual([['attrs', '23.1.0']])
    const uv = `version = 1

[[package]]
name = "demo"
version = "0.1.0"
source = { editable = "." }

[[package]]
name = "typing-extensions"
version = "4.12.2"
source = { registry = "https://pypi.org/simple" }
`
    expect(short(parsePythonLock(uv, 100))).toEqual([['typing-extensions', '4.12.2']])
    expect(parsePythonLock(`${poetry}${uv}`, 1)).toHaveLength(1)
    expect(parsePythonLock('nonsense', 100)).toEqual([])
  })
})

it('lockfiles that are made to be slow or endless are read line by line, and what no line can be is left out', () => {
  const long = 'a'.repeat(200_000)
  const text = `lockfileVersion: 9\n# yarn lockfile v1\npackages:\n${`  '${'@'.repeat(3000)}':\n`.repeat(2000)}${long}@${long}:\n[[package]]\nname = "${long}"\n`
  expect(parsePnpmLock(text, 100)).toEqual([])
  expect(parseYarnLock(text, 100)).toEqual([])
  expect(parsePythonLock(text, 100)).toEqual([])
})
