"""Growth: prompts that a teacher makes of a source's own, the seeds.

    options        what a spec may say of it
    methods        what a teacher is asked for, by method; the texts are in `instructions/`
    requests       from prompts to the requests that grow others from them
    parsing        the prompts in an answer
    candidates     what each answer gives, and why what is no prompt isn't
    alike          which of them are like a prompt that is there already
    growing        one source: seeds, rounds of requests and answers, and what is kept
    buying         getting the answers that the lake hasn't got
    estimate       what is missing and what it will cost
    counts         what came of it, for every command that tells

Nothing is grown from a prompt that the licence gate or a benchmark bars: what is made of it would be no better.
"""
