"""Which cases of the large tables of tests run by default; the others are marked `slow`, and none is dropped.

The default tier is to take ten minutes at most, so that people run it. A table of cases that train has its place there with a
covering set: each kind once, each value of each parameter, each pair of values where the parameters act on each other. The
whole product runs under `pytest -m "slow or not slow"`. A test that is not named here runs all its cases.

A test is named by file and function; its cases by their ids, or by a stride n: every n-th of them. An empty list stands for a
test that does not run by default at all.
"""

DEFAULT = {
    # What strangers' programs use most, and every branch of the trainer, once each.
    "tests/training/test_parity.py::test_weights_and_history_are_those_of_model_fit": [
        "plain-False",
        "plain-True",
        "tfnn's BatchNorm-False",
        "validation with weights-False",
        "steps of an epoch-True",
        "two inputs, two outputs-False",
        "own train_step-False",
        "own compute_metrics-True",
        "eager-auto",
        "compiled by XLA-auto",
        "Keras's AdamW, norm clipped, EMA-True",
    ],
    "tests/training/test_parity_inputs.py::test_weights_and_history_are_those_of_model_fit": [
        "dataset",
        "dataset of unknown length with steps",
        "dataset of dicts",
        "dataset, compiled by XLA",
        "validation by a dataset of unknown length",
        "validation by a generator",
        "PyDataset, two workers",
        "generator with weights",
        "lengths that differ, PyDataset",
        "sequences with a mask",
        "sparse tensor, a part for validation",
    ],
    "tests/training/test_parity_callbacks.py::test_callbacks_of_keras_and_of_users": [
        "prediction between batches",
        "weights set between batches of a piece",
        "rate on a plateau",
        "early stopping, best weights",
        "logs that grow",
    ],
    "tests/training/test_parity_callbacks.py::test_every_hook_comes_with_the_index_and_the_logs_of_model_fit": [
        "arrays",
        "dataset, two steps per execution",
        "own train_step",
        "validation now and then",
        "no epoch",
    ],
    "tests/training/test_parity_callbacks.py::test_an_exception_from_a_callback_passes_and_the_next_fit_works": [
        "on_train_begin",
        "on_train_batch_end",
        "on_test_batch_end",
        "on_epoch_end",
    ],
    "tests/training/test_parity_callbacks.py::test_stop_training_is_obeyed_in_every_hook": [
        "on_train_batch_end",
        "on_test_begin",
    ],
    "tests/training/test_resume.py::test_whatever_has_a_state_goes_on": [
        "one cycle that is scaled on a plateau, with a batch that grows and a rate that follows it",
        "early stopping with the best weights",
        "gradients that are summed",
        "updates that are left out",
        "a callback with a state of its own",
        "tf.data with sums of batches",
    ],
    "tests/training/test_resume.py::test_the_table_of_a_csv_logger_is_that_of_the_whole_run": ["True"],
    "tests/training/test_state.py::test_a_model_built_again_takes_the_state_and_goes_on_alike": [
        "Adam-False",
        "of two-True",
        "loss scale-False",
        "Keras's Adam-True",
    ],
    "tests/training/test_nonfinite.py::test_the_run_stops_before_it_and_names_the_example": [
        "True-arrays",
        "False-arrays",
        "False-PyDataset",
    ],
    "tests/training/test_nonfinite.py::test_an_update_that_is_left_out_leaves_no_trace": ["arrays"],
    "tests/training/test_augment.py::test_integer_labels_mixed_are_one_hot_labels_mixed": ["CutMix-False"],
    "tests/training/test_augment.py::test_augmentation_does_not_depend_on_how_a_batch_is_split": ["False"],
    "tests/training/test_evaluate.py::test_evaluate_gives_what_keras_gives": 6,
    "tests/data/test_stream.py::test_weights_are_those_of_arrays_to_the_bit": ["split"],
    "tests/data/test_growable.py::test_both_fits_give_the_same_weights_with_batch_norm_and_dropout": [
        "grows and shrinks inside epochs-1",
        "grows and shrinks by epoch-3",
        "a function of the update-3",
    ],
    "tests/transfer/test_feature_cache.py::test_epochs_that_are_no_passes_go_on_where_the_last_one_ended": [
        "cached last-arrays"
    ],
    "tests/transfer/test_unfreeze.py::test_both_trainers_train_the_same": ["SGD0"],
    "tests/transfer/test_backbone.py::test_a_small_backbone_is_what_is_known_of_it": ["MobileNetV2"],
    "tests/transfer/test_stages.py::test_where_the_stages_of_known_networks_begin": ["MobileNetV2-opening0"],
    "tests/diagnose/test_find_learning_rate.py::test_it_changes_nothing_in_a_trained_model": [
        "Keras's-the user's schedule",
        "tfnn's-a function",
    ],
    "tests/diagnose/test_propagation.py::test_update_ratio_is_what_the_next_training_step_does": 2,
    # 16 settings of each rule, drawn so that they cover: a quarter of them still has every value of every parameter
    "tests/optimizers/test_references.py::test_follows_its_paper": 4,
    "tests/optimizers/test_convergence.py::test_minimises": 2,
    "tests/optimizers/test_base.py::test_state_finds_its_weights_where_names_repeat_or_shift": [
        "1-the first trained later-towers",
        "2-all trained-unnamed",
        "2-the first trained later-unnamed",
    ],
    "tests/optimizers/test_base.py::test_mixed_precision_with_loss_scaling_trains_as_float32": ["SGD", "Adam", "LAMB"],
    "tests/callbacks/test_batch_size_scheduler.py::test_each_update_has_the_mean_over_the_planned_examples": 3,
    "tests/callbacks/test_batch_size_scheduler.py::test_a_run_stopped_in_mid_growth_goes_on_to_the_same_bits": [
        "rebatch-arrays"
    ],
    "tests/callbacks/test_steered_rate.py::test_a_rate_is_set_whatever_the_optimizer_was_compiled_with": 3,
    "tests/callbacks/test_noise_scale.py::"
    "test_the_stationary_variance_follows_the_noise_scale_until_the_batch_nears_the_data": 5,
    "tests/callbacks/tensorboard/test_sessions.py::test_a_killed_run_that_is_resumed_shows_each_update_once": [
        "epoch-15",
        "5-13",
        "4-15",
    ],
    "tests/callbacks/tensorboard/test_scalars.py::test_values_of_updates_are_those_of_the_update_itself": [
        "4-XLA-arrays",
        "1-plain-tf.data",
        "4-accumulated-tf.data",
        "1-accumulated-arrays",
        "4-plain-arrays",
        "1-XLA-tf.data",
    ],
    "tests/schedules/test_decay_to_growth.py::test_rate_over_batch_size_follows_the_plan_in_a_run_of_one_trace": [
        "schedule0-sizes0-True",
        "schedule1-sizes1-False",
        "schedule2-sizes2-True",
        "schedule3-sizes3-False",
    ],
    "tests/initializers/test_lsuv.py::test_a_deep_net_trains_after_it_and_not_from_small_weights": ["tanh"],
    "tests/models/test_models.py::test_deep_resnet_without_norm_starts_bounded_and_learns": [],
    "tests/serving/test_publish.py::test_a_crash_leaves_the_old_version_and_the_next_export_clears_what_it_left": [],
    "tests/serving/test_publish.py::test_a_failure_leaves_what_was_there": ["rename", "manifest"],
    "tests/training/test_rules.py::test_static_bodies_do_what_the_dynamic_one_does": ["True-2", "False-1"],
    "tests/training/test_fit.py::test_a_grown_batch_is_exact_and_needs_no_new_trace": ["False"],
    "tests/training/test_fit.py::test_a_re_batched_run_is_one_of_larger_batches_to_the_bit": ["False-1"],
    "tests/training/test_programs.py::test_a_program_ends_where_it_ends_with_model_fit": ["tickets"],
    "tests/training/test_parity_callbacks.py::test_backup_and_restore_goes_on_as_under_model_fit": ["epoch"],
    "tests/training/test_parity_callbacks.py::test_model_checkpoint_writes_the_same_files": ["options1"],
    "tests/training/test_parity_callbacks.py::test_tensorboard_shows_the_same_curves": ["batch"],
    "tests/training/test_parity.py::test_balanced_classes_weigh_what_they_do_by_hand": ["one-hot"],
    "tests/training/test_measuring.py::test_a_probe_is_told_what_the_update_is_made_of": 3,
    "tests/training/test_augment.py::test_draws_are_a_function_of_seed_epoch_and_example": ["False-True", "True-False"],
    "tests/training/test_evaluate.py::test_predict_gives_what_keras_gives": 3,
    "tests/training/test_evaluate.py::test_hooks_are_those_of_keras": 3,
    "tests/training/test_resume.py::test_sigterm_saves_the_run_and_takes_its_course": ["training-"],
    "tests/diagnose/test_find_learning_rate.py::test_rates_and_losses_are_those_of_the_formula": 3,
    "tests/callbacks/test_noise_scale.py::test_the_critical_batch_size_of_a_known_loss": 3,
    "tests/callbacks/test_noise_scale.py::test_the_noise_scale_is_that_of_the_rate_in_force": 3,
    "tests/callbacks/test_learning_rate_scheduler.py::test_updates_are_counted_over_several_runs": 3,
    "tests/callbacks/test_swap_decay_for_growth.py::test_rate_over_batch_follows_the_decay": 2,
    "tests/transfer/test_classifier.py::test_training_changes_what_is_unfrozen_and_nothing_else": 2,
    "tests/transfer/test_feature_cache.py::"
    "test_held_out_images_are_never_augmented_even_where_they_are_those_of_the_training": ["1"],
    "tests/transfer/test_unfreeze.py::test_a_file_of_a_model_all_of_whose_stages_joined_is_read_again": ["Adam0"],
    "tests/serving/test_export.py::test_any_number_size_and_colour": 4,
    "tests/serving/test_export.py::test_dropout_of_every_form_is_exported_as_it_is_at_test": 2,
    "tests/serving/test_gates.py::test_batchnorms_are_folded_unless_told_and_not_behind_an_embedding": ["True"],
    "tests/cli/test_cli.py::test_defaults_never_make_a_command_fail": ["options0"],
    # The conformance of every part: other tests of the table run for all of them.
    "tests/test_conformance.py::test_layer_gives_the_same_eagerly_in_a_graph_and_under_xla": 3,
    "tests/test_conformance.py::test_schedule_gives_the_same_eagerly_in_a_graph_and_under_xla": 3,
    "tests/test_conformance.py::test_layer_serves_every_batch_size_in_one_trace": 2,
    "tests/test_conformance.py::test_optimizer_round_trips_in_mid_run": 3,
    # Whole tests of many runs or processes. By default stand for them: the feature table and the killed command (for stops at
    # any hook and at any moment), the synchronised BatchNorm (for replicas), the other tests of an import, the demo's own.
    "tests/training/test_resume.py::test_a_run_stopped_at_any_hook_goes_on_to_the_same_bits": [],
    "tests/training/test_resume.py::test_a_killed_process_goes_on_to_the_same_bits": [],
    "tests/test_conformance.py::test_two_replicas_equal_one": [],
    "tests/test_import.py::test_import_adds_little_to_that_of_keras": [],
    "tests/transfer/test_every_backbone.py::test_a_small_backbone_from_its_name_to_its_answers": [],
    "tests/transfer/test_feature_cache.py::test_one_line_says_why_features_are_not_cached": [],
    "tests/transfer/test_feature_cache.py::test_a_damaged_file_is_computed_anew": [],
    "tests/transfer/test_feature_cache.py::test_weights_of_examples_growth_and_a_plan_are_kept": [],
    "tests/transfer/test_unfreeze.py::test_a_run_that_is_resumed_before_stages_join_keeps_a_clock_for_each": [],
    "tests/serving/server/test_change.py::test_ctrl_c_ends_it_too": [],
    "tests/models/test_models.py::test_resnet_has_the_parameters_of_the_paper": 3,
    "tests/training/test_resume.py::test_a_full_disk_is_one_clear_error_and_a_later_resume_goes_on": [],
    "tests/transfer/test_feature_cache.py::test_augmented_copies_are_those_of_the_first_epochs": [],
    "tests/data/test_stream.py::test_with_xla_they_agree_to_rounding": [],
    "tests/cli/test_transfer.py::test_an_interrupted_run_goes_on_to_the_same_bits": [],
    "tests/cli/test_diagnose.py::test_standard_error_holds_the_one_line_and_nothing_else": [],
    "tests/layers/augment/test_augment.py::test_it_runs_in_tf_data_on_single_images_and_on_batches": [],
    "tests/layers/augment/test_augment.py::test_an_exported_model_draws_nothing_though_keras_bakes_its_layers_in": [],
    "tests/serving/test_fold_batchnorm.py::test_mobilenet_v2_has_no_batch_norm_left": [],
    "tests/serving/test_fold_batchnorm.py::test_a_wrong_epsilon_would_be_seen": [],
    "tests/serving/server/test_change.py::test_what_cannot_be_served_is_told_in_one_line": [],
    "tests/serving/server/test_change.py::test_what_runs_when_the_signal_comes_is_answered": [],
    # CI runs it beside the tier.
    "tests/test_quickstart_notebook.py::test_the_notebook_runs_in_one_trace_and_leaves_logs_and_a_bundle": [],
}


def slow(tests):
    """Those of the collected tests, {name of the function: {id of the case: test}}, that do not run by default.

    Raises:
        KeyError: for a case that is named here and is none of its function.
    """
    found = []
    for name, chosen in DEFAULT.items():
        cases = tests.get(name, {})
        if isinstance(chosen, int):
            found += [test for place, test in enumerate(cases.values()) if place % chosen]
        elif cases:
            if unknown := set(chosen) - set(cases):
                raise KeyError(f"tests/tiers.py: {name} has no case {sorted(unknown)}; it has {sorted(cases)}")
            found += [test for case, test in cases.items() if case not in chosen]
    return found
