import { z } from 'zod'

/** The schema of an argument that names a background process. */
export function processArgument() {
  return z
    .string()
    .regex(/^p\d{1,9}$/, 'must be a process_id such as "p1", as shell.exec and process.list give it')
    .describe('As shell.exec returned it, or process.list shows it.')
}
