// Loaded before http-cache-tests: its requests carry the cookie of a visitor who is in.
import http from 'node:http'

const request = http.request
http.request = (options, ...rest) =>
  request({ ...options, headers: { ...options.headers, Cookie: process.env.CONFORMANCE_COOKIE } }, ...rest)
