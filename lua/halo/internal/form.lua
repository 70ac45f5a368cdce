---Forms: application/x-www-form-urlencoded and multipart/form-data, in memory.
---Looking at what a client has sent uses plain searches only, no patterns that
---could be made to take long.
local core = require("halo.core").http

local M = {}

local max_fields = 1000
local max_part_head = 8192

---The value of a parameter: `; name=value` or `; name="value"`.
local function parameter(text, name)
  local at = text:find(";", 1, true)
  while at do
    local key, start = text:match("^%s*([%w%-_]+)%s*=%s*()", at + 1)
    if not key then
      at = text:find(";", at + 1, true)
    elseif text:byte(start) == 34 then
      local value, after = text:match('^"([^"]*)"()', start)
      if not value then
        return nil
      elseif key:lower() == name then
        return value
      end
      at = text:find(";", after, true)
    else
      local stop = text:find(";", start, true)
      if key:lower() == name then
        return text:sub(start, (stop or 0) - 1):match("^.*%S") or ""
      end
      at = stop
    end
  end
  return nil
end

---The header lines of a part; names in lower case.
local function part_headers(text)
  local headers = {}
  for line in text:gmatch("[^\r\n]+") do
    local name, value = line:match("^([^:]+):[ \t]*(.*)$")
    if name then
      headers[name:lower()] = value
    end
  end
  return headers
end

local function part(head, data)
  local headers = part_headers(head)
  local disposition = headers["content-disposition"]
  local name = disposition and parameter(disposition, "name")
  if not name then
    return nil
  end
  local filename = parameter(disposition, "filename")
  if not filename then
    return name, data
  end
  return name, {
    filename = filename,
    type = headers["content-type"] or "application/octet-stream",
    size = #data,
    data = data,
  }
end

local function parse_multipart(text, boundary)
  local fields, n = {}, 0
  local delimiter = "\r\n--" .. boundary
  -- the first one may stand at the very beginning
  local at
  if text:sub(1, #delimiter - 2) == delimiter:sub(3) then
    at = #delimiter - 1
  else
    local _, last = text:find(delimiter, 1, true)
    if not last then
      return nil, "no boundary in the form"
    end
    at = last + 1
  end
  while text:sub(at, at + 1) ~= "--" do
    local start = text:match("^[ \t]*\r\n()", at)
    local head_end = start and text:find("\r\n\r\n", start - 2, true)
    if not head_end or head_end - start > max_part_head then
      return nil, "malformed part of a form"
    end
    local first, last = text:find(delimiter, head_end + 2, true)
    n = n + 1
    if not first then
      return nil, "the form is cut off"
    elseif n > max_fields then
      return nil, "more than " .. max_fields .. " parts"
    end
    local name, value = part(text:sub(start, head_end - 1), text:sub(head_end + 4, first - 1))
    if not name then
      return nil, "a part of the form has no name"
    end
    fields[name] = value
    at = last + 1
  end
  return fields
end

local function parse_urlencoded(text)
  local list = core.parse_query(text, max_fields)
  if not list then
    return nil, "more than " .. max_fields .. " fields"
  end
  local fields = {}
  for i = 1, #list, 2 do
    fields[list[i]] = list[i + 1]
  end
  return fields
end

---Of a name given twice the last one counts.
---@param content_type? string
---@param text string
---@return table? fields name -> string, or {filename=, type=, size=, data=}
---@return string? message
function M.parse(content_type, text)
  local kind = (content_type or ""):match("^%s*([^;%s]*)"):lower()
  if kind == "application/x-www-form-urlencoded" then
    return parse_urlencoded(text)
  elseif kind ~= "multipart/form-data" then
    return nil, "not a form: " .. (kind ~= "" and kind or "no Content-Type")
  end
  local boundary = parameter(content_type, "boundary")
  if not boundary or boundary == "" or #boundary > 70 then
    return nil, "multipart/form-data without a boundary"
  end
  return parse_multipart(text, boundary)
end

return M
