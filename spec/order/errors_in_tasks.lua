-- Errors of awaited promises are raised where they are awaited.
local halo = require("halo")
local promise = require("halo.promise")

local function try(name, p)
  local ok, e = pcall(halo.await, p)
  print(name, ok, e)
end
halo.spawn(function()
  try("rejected", promise.reject("a"))
  try("fulfilled", promise.resolve("b"))
  try("raised", promise.new(function()
    error("c", 0)
  end))
end)
halo.spawn(function()
  for i = 1, 4 do
    try("loop", i % 2 == 0 and promise.reject(i) or promise.resolve(i))
  end
end)
