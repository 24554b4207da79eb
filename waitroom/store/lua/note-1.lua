-- Write a line to an audit log that no script of a change wrote.
--
-- KEYS    audit
-- ARGV    1 request id  2 audit line
-- Returns { 1 }
-- include audit
audit(KEYS[1], ARGV[1], 0, 0, ARGV[2])
return { 1 }
