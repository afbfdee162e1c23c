"""One model from the data of many people, which stays with them.

`watch` has the recordings and `local` trains on one person's; `averaging` makes one model of many,
`robust` in spite of some that lie; `updates` makes what is sent small; `masks` and `privacy` hide
it, `leak` shows what is seen otherwise. `flower` runs a federation in this process, `superlink` as
the processes that a real one has.
"""
