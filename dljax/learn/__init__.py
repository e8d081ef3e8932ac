"""The learners, each a pair `(init, step)`, and what measures what they learnt."""
