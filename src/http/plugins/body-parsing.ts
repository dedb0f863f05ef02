import type { App } from '../app-type.ts'

/** JSON and nothing else. An empty body counts as none, so that `curl -X POST -H 'content-type: application/json'` works. */
export function bodyParsing(app: App): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    // The default parser answers through `done`.
    else void parse(request, body as string, done)
  })
}
