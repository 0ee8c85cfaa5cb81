-- What Redis gives a script (scripts/lint-lua checks the scripts as Redis gets them).
std = "lua51"
read_globals = { "redis", "cjson", "cmsgpack", "struct", "bit", "KEYS", "ARGV" }
max_line_length = 100
