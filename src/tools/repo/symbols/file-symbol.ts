import { z } from 'zod'

export const fileSymbolSchema = z.object({
  kind: z.string().describe('function, method, class, interface, struct, enum, trait, type, constant, variable, macro, ...'),
  name: z.string(),
  line: z.int().describe('Where it begins, from 1.'),
  signature: z.string().optional().describe('The declaration without its body, on one line, at most 200 characters.'),
})

export type FileSymbol = z.infer<typeof fileSymbolSchema>

/** More are left out: no reader of an outline wants them. */
export const MOST_SYMBOLS = 5000
const LONGEST_NAME = 200
const LONGEST_SIGNATURE = 200

export function makeSymbol(kind: string, name: string, line: number, declaration: string): FileSymbol {
  const signature = declaration
    .slice(0, 1000)
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/ ?[{:=]$/, '')
  const shown = signature.length > LONGEST_SIGNATURE ? `${signature.slice(0, LONGEST_SIGNATURE - 1)}…` : signature
  return { kind, name: name.slice(0, LONGEST_NAME), line, ...(shown !== '' && { signature: shown }) }
}
