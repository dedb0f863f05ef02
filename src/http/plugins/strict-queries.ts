import { z } from 'zod'
import type { App } from '../app-type.ts'

const noQuery = z.strictObject({})

/** A route that needs a credential and declares no query takes none: an unknown parameter is refused by name, not ignored. */
export function strictQueries(app: App): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.public !== true && route.schema && !route.schema.querystring) route.schema.querystring = noQuery
  })
}
