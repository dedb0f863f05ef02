import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'

/** A check that takes longer, in ms, counts as failed. */
const DEADLINE_MS = 2000

const readySchema = z.object({ status: z.enum(['ready', 'not_ready']), checks: z.record(z.string(), z.enum(['ok', 'failed'])) })

/** Readiness: what the server needs answers. Requests that come while the checks run share their result. */
export function readyz(app: App, { readiness, logger }: AppDependencies): void {
  let running: Promise<z.output<typeof readySchema>> | null = null

  async function check(): Promise<z.output<typeof readySchema>> {
    const checks: Record<string, 'ok' | 'failed'> = {}
    await Promise.all(
      Object.entries(readiness).map(async ([name, answers]) => {
        try {
          await withDeadline(answers())
          checks[name] = 'ok'
        } catch (err) {
          logger.warn({ err, check: name }, 'not ready')
          checks[name] = 'failed'
        }
      }),
    )
    return { status: Object.values(checks).includes('failed') ? 'not_ready' : 'ready', checks }
  }

  app.get(
    '/readyz',
    {
      config: { public: true },
      schema: {
        operationId: 'readyz',
        tags: ['server'],
        summary: 'Do the store and the sandbox driver answer?',
        security: [],
        response: { 200: readySchema, 503: readySchema },
      },
    },
    async (_request, reply) => {
      running ??= check().finally(() => {
        running = null
      })
      const result = await running
      return reply.code(result.status === 'ready' ? 200 : 503).send(result)
    },
  )
}

async function withDeadline(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${DEADLINE_MS} ms`)), DEADLINE_MS)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
