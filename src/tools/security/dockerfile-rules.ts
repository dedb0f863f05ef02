/** What stands in a Dockerfile, one instruction after the other. */
interface Instruction {
  keyword: string
  value: string
  line: number
}

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

export interface ContainerFinding {
  rule: string
  severity: Severity
  /** Null: of an image's name. */
  line: number | null
  message: string
}

const LONGEST_INSTRUCTION = 20_000
const SECRET_NAME = /(?:passw(?:or)?d|secret|token|api_?key|private_?key|credentials?)/i

/** Rules that look at one instruction. Messages name the instruction, and never a value. */
const RULES: [rule: string, severity: Severity, message: string, holds: (instruction: Instruction) => boolean][] = [
  [
    'secret_in_image',
    'critical',
    'ENV or ARG holds what is named like a secret: it stays in the image; use RUN --mount=type=secret',
    ({ keyword, value }) =>
      (keyword === 'ENV' || keyword === 'ARG') &&
      [...value.matchAll(/([A-Za-z_]\w{0,100})(?:=|\s+)(\S+)/g)].some(
        ([, name, given]) => SECRET_NAME.test(name ?? '') && !/^["']?(?:\$|["']?$)/.test(given ?? ''),
      ),
  ],
  [
    'download_into_shell',
    'high',
    'what is downloaded is run unseen: check it against a digest first',
    ({ keyword, value }) => keyword === 'RUN' && /\b(?:curl|wget)\b[^|;&]{0,1000}\|\s*(?:sudo\s+)?(?:ba|da|z)?sh\b/.test(value),
  ],
  [
    'certificates_not_checked',
    'high',
    'a download does not check certificates',
    ({ keyword, value }) =>
      keyword === 'RUN' && /\bcurl\b[^|;&]{0,1000}\s(?:-k|--insecure)\b|\bwget\b[^|;&]{0,1000}--no-check-certificate/.test(value),
  ],
  [
    'sudo',
    'medium',
    'sudo has no place in a build: choose the user by USER',
    ({ keyword, value }) => keyword === 'RUN' && /\bsudo\s/.test(value),
  ],
  [
    'world_writable',
    'medium',
    'files that anybody may write (chmod 777)',
    ({ keyword, value }) => keyword === 'RUN' && /\bchmod\s+(?:-R\s+)?0?777\b/.test(value),
  ],
  [
    'add_from_network',
    'medium',
    'ADD of a URL without a checksum',
    ({ keyword, value }) => keyword === 'ADD' && /\bhttps?:\/\//.test(value) && !/--checksum=/.test(value),
  ],
  [
    'ssh_exposed',
    'medium',
    'port 22 is exposed: a container needs no ssh',
    ({ keyword, value }) => keyword === 'EXPOSE' && /(?:^|\s)22(?:\/tcp)?(?:\s|$)/.test(value),
  ],
  [
    'package_lists_kept',
    'low',
    'apt-get install without removing /var/lib/apt/lists in the same step',
    ({ keyword, value }) =>
      keyword === 'RUN' &&
      /\bapt-get\s[^|;&]{0,1000}\binstall\b/.test(value) &&
      !value.includes('/var/lib/apt/lists') &&
      !value.includes('--mount=type=cache'),
  ],
  [
    'add_of_files',
    'low',
    'ADD of local files: COPY does only that',
    ({ keyword, value }) => keyword === 'ADD' && !/\bhttps?:\/\/|\.tar(?:\.\w+)?\b|\.t[gx]z\b|\bgit@/.test(value),
  ],
]

/** What is known to be unwise in a Dockerfile, in its order. Pure; looks at nothing but this text. */
export function judgeDockerfile(text: string): ContainerFinding[] {
  const found: ContainerFinding[] = []
  const stages = new Set<string>()
  let user: Instruction | null = null
  let last: Instruction | null = null
  let healthcheck = false
  for (const instruction of instructions(text)) {
    const { keyword, value, line } = instruction
    if (keyword === 'FROM') {
      const [image = '', ...rest] = value.split(/\s+/).filter((word) => !word.startsWith('--'))
      if (!stages.has(image.toLowerCase()) && image !== 'scratch')
        found.push(...judgeImage(image).map((each) => ({ ...each, line })))
      if (rest[0]?.toLowerCase() === 'as' && rest[1] !== undefined) stages.add(rest[1].toLowerCase())
      user = null
      healthcheck = false
      last = instruction
    }
    if (keyword === 'USER') user = instruction
    if (keyword === 'HEALTHCHECK') healthcheck = true
    for (const [rule, severity, message, holds] of RULES) if (holds(instruction)) found.push({ rule, severity, line, message })
  }
  if (!last) return [...found, { rule: 'no_base_image', severity: 'low', line: null, message: 'no FROM: this is no Dockerfile' }]
  if (!user || /^(?:root|0)(?:$|:|\s)/.test(user.value))
    found.push({
      rule: 'runs_as_root',
      severity: 'high',
      line: user?.line ?? last.line,
      message: 'the container runs as root: end with USER and an ordinary user',
    })
  if (!healthcheck) found.push({ rule: 'no_healthcheck', severity: 'low', line: last.line, message: 'no HEALTHCHECK' })
  return found
}

/** What can be said of an image by its name alone. Pure. */
export function judgeImage(image: string): ContainerFinding[] {
  if (image.includes('$')) return []
  if (image.includes('@sha256:')) return []
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  if (tag === undefined || tag === 'latest')
    return [
      {
        rule: 'latest_image',
        severity: 'medium',
        line: null,
        message: 'the image has no tag, or latest: another one may come at any time',
      },
    ]
  return [
    {
      rule: 'image_not_pinned',
      severity: 'low',
      line: null,
      message: 'the image is named by a tag and not by a digest (@sha256:...)',
    },
  ]
}

/** Lines that end in a backslash go on in the next; comments between them do not count. */
function instructions(text: string): Instruction[] {
  const found: Instruction[] = []
  let pending: { text: string; line: number } | null = null
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (/^\s*#/.test(raw)) continue
    const continued: { text: string; line: number } = pending ?? { text: '', line: index + 1 }
    if (continued.text.length < LONGEST_INSTRUCTION)
      continued.text += ` ${raw.replace(/\\\s*$/, '').slice(0, LONGEST_INSTRUCTION)}`
    pending = /\\\s*$/.test(raw.slice(-100)) ? continued : null
    if (pending) continue
    const instruction = /^\s*([A-Za-z]+)\s+(\S.*)$/.exec(continued.text)
    if (instruction)
      found.push({
        keyword: (instruction[1] as string).toUpperCase(),
        value: (instruction[2] as string).trim(),
        line: continued.line,
      })
  }
  return found
}
