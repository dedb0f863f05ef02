/** Bytes that one call of a tool reads of a file, or writes or edits in it, at most; and so what policy can be shown of a body. */
export const FILE_LIMIT = 1024 * 1024
