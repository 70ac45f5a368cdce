-- Several things at once: each in a task of its own, all of them in a scope
-- with a time limit.
local halo = require "halo"

-- Stands for a request that takes its time.
local function fetch(name, seconds)
  halo.sleep(seconds)
  return ("%s took %g s"):format(name, seconds)
end

local function fetch_all(list)
  return halo.scope(function(scope)
    local tasks = {}
    for i, item in ipairs(list) do
      tasks[i] = scope:spawn(fetch, item.name, item.seconds)
    end
    local answers = {}
    for i, task in ipairs(tasks) do answers[i] = halo.await(task) end
    return answers
  end)
end

local quick = { { name = "one", seconds = 0.02 }, { name = "two", seconds = 0.01 } }
for _, answer in ipairs(halo.timeout(5, fetch_all, quick)) do print(answer) end

-- When the time is up, all tasks of the scope are cancelled.
local slow = { { name = "three", seconds = 0.01 }, { name = "four", seconds = 60 } }
local answers, err = halo.timeout(0.05, fetch_all, slow)
print(answers, err)

--> one took 0.02 s
--> two took 0.01 s
--> nil	ETIMEDOUT: operation timed out
