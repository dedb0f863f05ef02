import type { RouteOptions } from 'fastify'
import type { App } from '../app-type.ts'

export interface Route {
  method: string
  url: string
  public: boolean
}

/** What is served, collected as routes are added: for 405, for the deny-by-default rule, and for tests that walk every route. */
export class RouteTable {
  readonly #routes: { method: string; pattern: RegExp; options: RouteOptions }[] = []

  constructor(app: App) {
    app.addHook('onRoute', (options) => {
      const parts = options.url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll('.', '\\.')))
      const pattern = new RegExp(`^${parts.join('/')}$`)
      for (const method of [options.method].flat()) this.#routes.push({ method, pattern, options })
    })
  }

  all(): Route[] {
    return this.#routes.map(routeOf)
  }

  /** The routes at a request's path, whatever their method. */
  at(requestUrl: string): Route[] {
    const path = requestUrl.split('?', 1)[0] as string
    return this.#routes.filter(({ pattern }) => pattern.test(path)).map(routeOf)
  }
}

/** Read when asked: hooks of an inner scope may still change a route's options after ours saw them. */
function routeOf({ method, options }: { method: string; options: RouteOptions }): Route {
  return { method, url: options.url, public: options.config?.public === true }
}
