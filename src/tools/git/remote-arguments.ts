import { z } from 'zod'

/** The schema of a `remote` argument. Whether it names one that may be used is a question for policy. */
export function remoteArgument() {
  return z
    .string()
    .min(1)
    .max(200)
    .default('origin')
    .describe('The name of a remote that the repository has configured. Never a URL.')
}

/** The schema of a `refspec` argument. */
export function refspecArgument(description: string) {
  return z.string().min(1).max(512).describe(`${description} A name without refs/ is a branch's; no wildcards.`)
}
