import fastify, { LogController } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { App } from './app-type.ts'
import type { AppDependencies } from './dependencies.ts'
import { EventStreams } from './event-streams.ts'
import { authentication, createAuthenticator } from './plugins/authentication.ts'
import { bodyParsing } from './plugins/body-parsing.ts'
import { browserHeaders } from './plugins/browser-headers.ts'
import { errorRendering, sendError } from './plugins/errors.ts'
import { gracefulClose } from './plugins/graceful-close.ts'
import { malformedRequests } from './plugins/malformed-requests.ts'
import { metrics } from './plugins/metrics.ts'
import { docs, openapi } from './plugins/openapi.ts'
import { requestId, requestIds } from './plugins/request-ids.ts'
import { requestLog } from './plugins/request-log.ts'
import { RouteTable } from './plugins/route-table.ts'
import { strictQueries } from './plugins/strict-queries.ts'
import { tracing } from './plugins/tracing.ts'
import { approveApproval } from './routes/approvals/approve-approval.ts'
import { denyApproval } from './routes/approvals/deny-approval.ts'
import { getApproval } from './routes/approvals/get-approval.ts'
import { listApprovals } from './routes/approvals/list-approvals.ts'
import { revokeApproval } from './routes/approvals/revoke-approval.ts'
import { createToken } from './routes/auth/create-token.ts'
import { listTokens } from './routes/auth/list-tokens.ts'
import { login } from './routes/auth/login.ts'
import { me } from './routes/auth/me.ts'
import { revokeToken } from './routes/auth/revoke-token.ts'
import { getConnector } from './routes/connectors/get-connector.ts'
import { listConnectors } from './routes/connectors/list-connectors.ts'
import { reviewConnector } from './routes/connectors/review-connector.ts'
import { openapiDocument } from './routes/documents/openapi.ts'
import { listEvents } from './routes/events/list-events.ts'
import { verifyEvents } from './routes/events/verify-events.ts'
import { downloadFile } from './routes/files/download-file.ts'
import { uploadFile } from './routes/files/upload-file.ts'
import { cancelInvocation } from './routes/invocations/cancel-invocation.ts'
import { downloadArtifact } from './routes/invocations/download-artifact.ts'
import { getInvocation } from './routes/invocations/get-invocation.ts'
import { getInvocationLogs } from './routes/invocations/get-invocation-logs.ts'
import { listInvocationArtifacts } from './routes/invocations/list-invocation-artifacts.ts'
import { listInvocations } from './routes/invocations/list-invocations.ts'
import { sessionMcp } from './routes/mcp/session-mcp.ts'
import { listMessages } from './routes/messages/list-messages.ts'
import { postMessage } from './routes/messages/post-message.ts'
import { createRoleBinding } from './routes/role-bindings/create-role-binding.ts'
import { deleteRoleBinding } from './routes/role-bindings/delete-role-binding.ts'
import { listRoleBindings } from './routes/role-bindings/list-role-bindings.ts'
import { healthz } from './routes/server/healthz.ts'
import { metricsPage } from './routes/server/metrics.ts'
import { readyz } from './routes/server/readyz.ts'
import { version } from './routes/server/version.ts'
import { closeSession } from './routes/sessions/close-session.ts'
import { createSession } from './routes/sessions/create-session.ts'
import { deleteSession } from './routes/sessions/delete-session.ts'
import { getSession } from './routes/sessions/get-session.ts'
import { interruptSession } from './routes/sessions/interrupt-session.ts'
import { listSessions } from './routes/sessions/list-sessions.ts'
import { mintSessionToken } from './routes/sessions/mint-session-token.ts'
import { restoreSession } from './routes/sessions/restore-session.ts'
import { updateSession } from './routes/sessions/update-session.ts'
import { checkTool } from './routes/tools/check-tool.ts'
import { invokeTool } from './routes/tools/invoke-tool.ts'
import { listTools } from './routes/tools/list-tools.ts'
import { createUser } from './routes/users/create-user.ts'
import { deleteUser } from './routes/users/delete-user.ts'
import { getUser } from './routes/users/get-user.ts'
import { listUsers } from './routes/users/list-users.ts'
import { updateUser } from './routes/users/update-user.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What is served. */
    routeTable: RouteTable
  }
}

/** Bytes of a body, where a route does not say otherwise. */
const BODY_LIMIT = 2 * 1024 * 1024
/** A request must have come whole by then, in ms. */
const REQUEST_TIMEOUT = 300_000

/**
 * The HTTP API. Nothing listens yet: `listen`, `inject` or `ready` load it. `close` ends event streams, takes no new connections,
 * and resolves when the requests under way are answered.
 */
export function buildApp(deps: AppDependencies): App {
  const app: App = fastify({
    loggerInstance: deps.logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (error, request, reply) => {
      sendError(error, request, reply.header('x-request-id', request.id))
    },
    clientErrorHandler: malformedRequests,
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)

  const streams = new EventStreams(deps.eventLog, deps.streams)
  const authenticator = createAuthenticator(deps.config, deps)
  const routes = new RouteTable(app)
  app.decorate('routeTable', routes)

  gracefulClose(app, streams, deps.mcp)
  tracing(app)
  requestIds(app)
  requestLog(app)
  browserHeaders(app)
  metrics(app, deps, streams)
  // After the headers, so that a refusal carries them too.
  app.after(() => authentication(app, authenticator, routes))
  bodyParsing(app)
  errorRendering(app, routes)
  openapi(app, deps.version)
  docs(app)

  strictQueries(app)
  app.register(async (scope: App) => {
    healthz(scope)
    readyz(scope, deps)
    metricsPage(scope, deps)
    version(scope, deps)

    openapiDocument(scope)

    login(scope, deps)
    me(scope)
    createToken(scope, deps)
    listTokens(scope, deps)
    revokeToken(scope, deps)

    listUsers(scope, deps)
    createUser(scope, deps)
    getUser(scope, deps)
    updateUser(scope, deps)
    deleteUser(scope, deps)

    listRoleBindings(scope, deps)
    createRoleBinding(scope, deps)
    deleteRoleBinding(scope, deps)

    createSession(scope, deps, authenticator)
    listSessions(scope, deps)
    getSession(scope, deps)
    updateSession(scope, deps)
    deleteSession(scope, deps)
    closeSession(scope, deps)
    restoreSession(scope, deps)
    interruptSession(scope, deps)
    mintSessionToken(scope, deps)

    postMessage(scope, deps)
    listMessages(scope, deps)

    listEvents(scope, deps, streams, authenticator)
    verifyEvents(scope, deps)

    downloadFile(scope, deps)

    listTools(scope, deps)
    invokeTool(scope, deps)

    sessionMcp(scope, deps)
    checkTool(scope, deps)

    listInvocations(scope, deps)
    getInvocation(scope, deps)
    getInvocationLogs(scope, deps)
    listInvocationArtifacts(scope, deps)
    downloadArtifact(scope, deps)
    cancelInvocation(scope, deps)

    listConnectors(scope, deps)
    getConnector(scope, deps)
    reviewConnector(scope, deps)

    listApprovals(scope, deps)
    getApproval(scope, deps)
    approveApproval(scope, deps)
    denyApproval(scope, deps)
    revokeApproval(scope, deps)
  })
  // A scope of its own: it takes bodies of any type.
  app.register(async (scope: App) => uploadFile(scope, deps))
  return app
}
