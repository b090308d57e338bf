import cProfile, pstats, sys, io, signal, threading, os
from inside.costs import populate
from inside.stage import *
if len(sys.argv)>1 and sys.argv[1]=="guard":
    from memguard.__main__ import main
    p=cProfile.Profile(); p.enable()
    try: code=main(sys.argv[1:])
    finally:
        p.disable(); f=io.StringIO(); pstats.Stats(p,stream=f).sort_stats("tottime").print_stats(28); pstats.Stats(p,stream=f).sort_stats("cumtime").print_stats(22); open(str(RUN/"prof.txt"),"w").write(f.getvalue())
    sys.exit(code)
for n in (10,250):
    with stage() as s:
        populate(s,n); g=s.guard(wrapper="inside.zprof"); until(lambda:False,5); c=g.cpu_ms; until(lambda:False,60,step=1.0); print(n,g.cpu_ms-c); g.stop(); print((RUN/"prof.txt").read())
