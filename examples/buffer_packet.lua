-- A buffer: a packet is put together in place, and taken apart again.
local buffer = require "halo.buffer"

local packet = buffer.new(16)
local at = packet:pack(1, ">I2 I2 s1", 0xCAFE, 7, "hello")
packet:fill(0xFF, at) -- padding

local checksum = 0
for i = 1, #packet - 1 do checksum = (checksum + packet[i]) % 256 end
packet[#packet] = checksum

local magic, number, text = packet:unpack(">I2 I2 s1")
print(("%04X"):format(magic), number, text)
print(#packet, packet[#packet] == checksum, packet:sub(6, 10))

local answer = packet:copy():set(6, "HELLO")
print(answer:sub(6, 10), answer == packet)

--> CAFE	7	hello
--> 16	true	hello
--> HELLO	false
