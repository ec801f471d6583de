"""Keras's own tests of its optimizers pass with ours.

Excepted by name: `test_invalid_momentum` and `test_weight_decay_is_none`, which want Keras's wording of a message, and
AdamW's golden values, which hold an epsilon of 2 that Keras does not divide by √(1 − β₂^t) as Kingma & Ba's Algorithm 1 does.
"""

import tfnn
from tests.keras_own import keras_tests

globals().update(keras_tests("optimizers.sgd_test", SGD=tfnn.optimizers.SGD, excepted=["test_invalid_momentum"]))
globals().update(keras_tests("optimizers.adagrad_test", Adagrad=tfnn.optimizers.Adagrad))
globals().update(keras_tests("optimizers.rmsprop_test", RMSprop=tfnn.optimizers.RMSprop))
globals().update(keras_tests("optimizers.adam_test", Adam=tfnn.optimizers.Adam))
globals().update(
    keras_tests(
        "optimizers.adamw_test",
        AdamW=tfnn.optimizers.AdamW,
        excepted=["test_weight_decay_is_none", "test_correctness_with_golden"],
    )
)
