std = "lua54"
max_line_length = false
max_code_line_length = 120
max_string_line_length = 140
max_comment_line_length = 160
unused_args = false
-- To-be-closed variables that are there to close.
ignore = { "211/guard", "211/cleanup" }
files["spec"] = {
  std = "lua54+busted",
  max_code_line_length = 140,
  ignore = { "211/guard", "211/cleanup", "512" }, -- loops that break at once
}
files["spec/command/init.lua"] = { globals = { "x" } }
files["rocks"] = { std = "lua54+rockspec" }
