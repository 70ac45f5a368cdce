require("halo").sleep(0.001)
print "module"
return true
