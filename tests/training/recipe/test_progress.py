from training.recipe.progress import Progress, Stage


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def planned(clock, beats):
    progress = Progress(lambda *beat: beats.append(beat), clock)
    progress.plan(Stage.EMBEDDING, 10, 1.0)
    progress.plan(Stage.TRAINING, 10, 9.0)
    return progress


def test_what_has_not_begun_takes_as_long_as_work_did_so_far():
    clock = Clock()
    beats: list[tuple[float, int | None]] = []
    progress = planned(clock, beats)
    clock.now = 5.0
    progress.advance(Stage.EMBEDDING, 10)
    assert beats == [(0.1, 45)]


def test_a_stage_that_has_begun_goes_on_at_its_own_speed():
    clock = Clock()
    beats: list[tuple[float, int | None]] = []
    progress = planned(clock, beats)
    clock.now = 5.0
    progress.advance(Stage.EMBEDDING, 10)
    clock.now = 7.0
    progress.advance(Stage.TRAINING, 5)
    assert beats[-1] == (0.55, 2)


def test_what_an_earlier_attempt_did_counts_as_done_but_not_as_speed():
    clock = Clock()
    beats: list[tuple[float, int | None]] = []
    progress = planned(clock, beats)
    progress.finish(Stage.EMBEDDING)
    progress.resume(Stage.TRAINING, 5)
    clock.now = 3.0
    progress.advance(Stage.TRAINING, 1)
    assert beats == [(0.6, 12)]


def test_progress_never_goes_back_nor_past_the_end():
    clock = Clock()
    beats: list[tuple[float, int | None]] = []
    progress = planned(clock, beats)
    progress.advance(Stage.TRAINING, 8)
    progress.plan(Stage.VALIDATION, 100, 1.0)
    progress.advance(Stage.TRAINING, 8)
    progress.finish(Stage.VALIDATION)
    progress.advance(Stage.EMBEDDING, 20)
    shares = [share for share, _ in beats]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_before_everything_is_planned_nothing_is_promised():
    clock = Clock()
    beats: list[tuple[float, int | None]] = []
    progress = Progress(lambda *beat: beats.append(beat), clock)
    progress.plan(Stage.TOKENS, 10, 1.0)
    clock.now = 1.0
    progress.advance(Stage.TOKENS, 10)
    assert beats == [(0.0, None)]
