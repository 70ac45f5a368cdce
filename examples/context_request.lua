-- A context: the log knows for which request it writes, and nobody passes it on.
local halo = require "halo"
local context = require "halo.context"

local request = context.new("main")

local function log(text) print(("%-6s %s"):format(request:get(), text)) end

local function query(seconds)
  halo.sleep(seconds)
  log("has its rows")
end

local function handle(seconds)
  log("begins")
  halo.await(halo.spawn(query, seconds)) -- a task inherits the context
  log("ends")
end

halo.scope(function(scope)
  scope:spawn(function() request:run("GET /1", handle, 0.06) end)
  scope:spawn(function() request:run("GET /2", handle, 0.01) end)
end)
log("done")

--> GET /1 begins
--> GET /2 begins
--> GET /2 has its rows
--> GET /2 ends
--> GET /1 has its rows
--> GET /1 ends
--> main   done
