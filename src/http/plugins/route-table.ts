import type { App } from '../app-type.ts'

export interface Route {
  method: string
  url: string
  public: boolean
}

/** What is served, collected as routes are added: for 405, for the deny-by-default rule, and for tests that walk every route. */
export class RouteTable {
  readonly #routes: (Route & { pattern: RegExp })[] = []

  constructor(app: App) {
    app.addHook('onRoute', (route) => {
      for (const method of [route.method].flat()) {
        const pattern = new RegExp(
          `^${route.url
            .split('/')
            .map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll('.', '\\.')))
            .join('/')}$`,
        )
        this.#routes.push({ method, url: route.url, public: route.config?.public === true, pattern })
      }
    })
  }

  all(): Route[] {
    return this.#routes.map(({ method, url, public: isPublic }) => ({ method, url, public: isPublic }))
  }

  /** The routes at a request's path, whatever their method. */
  at(requestUrl: string): Route[] {
    const path = requestUrl.split('?', 1)[0] as string
    return this.#routes.filter((route) => route.pattern.test(path))
  }
}
