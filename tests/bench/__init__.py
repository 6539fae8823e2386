"""The benchmark: chatapp beside other ways to run the same weights (`make bench`).

`sizes` says how much is measured, `model` makes the folder everyone runs, `contenders` and `serve`
answer, `texts` is what they are asked, `decode`, `waiting`, `crowd`, `life` measure, `values` holds
figures and requirements, `machine` names the machine, `report` and `plot` tell.
"""
