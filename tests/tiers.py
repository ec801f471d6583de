"""Which cases of the large tables of tests run by default; the others are marked `slow`, and none is dropped.

The default tier is to take ten minutes at most, so that people run it. A table of cases that train has its place there with a
covering set: each kind once, each value of each parameter, each pair of values where the parameters act on each other. The
whole product runs under `pytest -m "slow or not slow"`. A test that is not named here runs all its cases.

A test is named by file and function; its cases by their ids, or by a stride n: every n-th of them. An empty list stands for a
test that does not run by default at all.
"""

DEFAULT = {
    # Tables: the cases that run by default.
    "tests/training/test_augment.py::test_draws_are_a_function_of_seed_epoch_and_example": ["True-False"],
    "tests/training/test_bad_input.py::test_what_xla_cannot_compile_trains_nevertheless": ["layer", "train_step"],
    "tests/training/test_evaluate.py::test_evaluate_gives_what_keras_gives": [
        "False-arrays",
        "True-dataset",
        "False-PyDataset without end",
        "True-own test_step",
        "True-metrics of curves",
    ],
    "tests/training/test_evaluate.py::test_predict_gives_what_keras_gives": [
        "arrays",
        "lengths that differ, one answer",
        "PyDataset",
        "subclass that is not built",
    ],
    "tests/training/test_evaluate.py::test_hooks_are_those_of_keras": ["evaluate-2-1-arrays", "predict-1-None-dataset"],
    "tests/training/test_evaluate.py::test_a_progress_bar_is_shown": ["evaluate"],
    "tests/training/test_fit.py::test_a_grown_batch_is_exact_and_needs_no_new_trace": ["False"],
    "tests/training/test_fit.py::test_a_re_batched_run_is_one_of_larger_batches_to_the_bit": ["False-1"],
    "tests/training/test_fit.py::test_a_size_that_is_no_multiple_is_rounded_and_the_rate_follows": ["alone"],
    "tests/training/test_fit.py::test_a_schedule_in_epochs_runs_alike_on_arrays_and_on_batches_that_are_read": ["2"],
    "tests/training/test_foreign_sources.py::test_weights_and_history_are_those_of_model_fit_also_of_a_resumed_run": [
        "Grain",
        "PyTorch, a generator of its own",
    ],
    "tests/training/test_measuring.py::test_a_probe_is_told_what_the_update_is_made_of": [
        "plain-arrays",
        "accumulated, XLA-arrays",
    ],
    "tests/training/test_memory.py::test_a_batch_too_large_for_the_memory_is_refused_before_the_first_update": ["planned"],
    "tests/training/test_memory.py::test_the_graphs_of_a_model_that_is_gone_are_freed": ["tfnn's"],
    "tests/training/test_nonfinite.py::test_the_run_stops_before_it_and_names_the_example": ["True-arrays", "False-PyDataset"],
    "tests/training/test_nonfinite.py::test_an_update_that_is_left_out_leaves_no_trace": ["arrays"],
    # What strangers' programs use most, and every branch of the trainer, once each.
    "tests/training/test_parity.py::test_weights_and_history_are_those_of_model_fit": [
        "plain-False",
        "plain-True",
        "tfnn's BatchNorm-False",
        "validation with weights-False",
        "steps of an epoch-True",
        "two inputs, two outputs-False",
        "two outputs behind a mask-False",
        "own train_step-False",
        "own steps that tell vectors and None-False",
        "own compute_metrics-False",
        "eager-auto",
        "Keras's AdamW, norm clipped, EMA-False",
        "an apply_gradients of an optimizer's own-False",
    ],
    "tests/training/test_parity.py::test_balanced_classes_weigh_what_they_do_by_hand": ["one-hot"],
    "tests/training/test_parity.py::test_mixed_precision": ["mixed_float16"],
    "tests/training/test_parity.py::test_what_is_printed": ["1"],
    "tests/training/test_parity_callbacks.py::test_callbacks_of_keras_and_of_users": [
        "prediction between batches",
        "weights set between batches of a piece",
        "rate on a plateau",
        "early stopping, best weights",
    ],
    "tests/training/test_parity_callbacks.py::test_every_hook_comes_with_the_index_and_the_logs_of_model_fit": [
        "arrays",
        "dataset, two steps per execution",
        "no epoch",
    ],
    "tests/training/test_parity_callbacks.py::test_stop_training_is_obeyed_in_every_hook": ["on_train_batch_end"],
    "tests/training/test_parity_callbacks.py::test_a_run_that_is_stopped_before_its_first_update_makes_none": [
        "on_epoch_begin"
    ],
    "tests/training/test_parity_callbacks.py::test_an_exception_from_a_callback_passes_and_the_next_fit_works": [
        "on_train_batch_end"
    ],
    "tests/training/test_parity_callbacks.py::test_model_checkpoint_writes_the_same_files": ["options1"],
    "tests/training/test_parity_callbacks.py::test_backup_and_restore_goes_on_as_under_model_fit": ["epoch"],
    "tests/training/test_parity_callbacks.py::test_tensorboard_shows_the_same_curves": ["batch"],
    "tests/training/test_parity_inputs.py::test_weights_and_history_are_those_of_model_fit": [
        "dataset",
        "dataset of unknown length with steps",
        "dataset of dicts",
        "validation by a dataset of unknown length",
        "PyDataset, two workers",
        "generator with weights",
        "dataset with weights of one output",
        "a state that batches hand on, not built",
        "lengths that differ, average",
        "sparse tensor, a part for validation",
    ],
    "tests/training/test_preprocessing.py::test_it_trains_measures_and_predicts_as_by_its_own_methods": ["arrays", "texts"],
    "tests/training/test_programs.py::test_a_program_ends_where_it_ends_with_model_fit": ["tickets"],
    "tests/training/test_resume.py::test_whatever_has_a_state_goes_on": [
        "one cycle that is scaled on a plateau, with a batch that grows and a rate that follows it",
        "a callback with a state of its own",
        "tf.data with sums of batches",
    ],
    "tests/training/test_resume.py::test_sigterm_saves_the_run_and_takes_its_course": ["training-"],
    "tests/training/test_rules.py::test_static_bodies_do_what_the_dynamic_one_does": ["True-2"],
    "tests/training/test_state.py::test_a_model_built_again_takes_the_state_and_goes_on_alike": [
        "of two-True",
        "loss scale-False",
    ],
    "tests/training/test_state.py::test_other_precisions_come_back": ["mixed_float16"],
    "tests/training/test_state.py::test_a_run_goes_on_as_if_it_had_not_ended": ["False"],
    "tests/data/test_growable.py::test_both_fits_give_the_same_weights_with_batch_norm_and_dropout": [
        "grows and shrinks inside epochs-1",
        "grows and shrinks by epoch-3",
    ],
    "tests/data/test_growable.py::test_accumulation_gives_the_weights_of_plain_fit": ["update"],
    "tests/data/test_loaders.py::test_tabs_and_semicolons_part_a_table_too": [";"],
    "tests/data/test_stream.py::test_weights_are_those_of_arrays_to_the_bit": ["split"],
    "tests/transfer/test_backbone.py::test_a_small_backbone_is_what_is_known_of_it": ["MobileNetV2"],
    "tests/transfer/test_classifier.py::test_training_changes_what_is_unfrozen_and_nothing_else": ["2-trained2"],
    "tests/transfer/test_stages.py::test_where_the_stages_of_known_networks_begin": ["MobileNetV2-opening0"],
    "tests/transfer/test_unfreeze.py::test_both_trainers_train_the_same": ["SGD0"],
    "tests/transfer/test_weights.py::test_another_architecture_is_named": ["keras", "weights.h5"],
    "tests/diagnose/test_find_learning_rate.py::test_rates_and_losses_are_those_of_the_formula": [
        "False-tfnn's",
        "True-tfnn's, loss scale",
    ],
    "tests/diagnose/test_find_learning_rate.py::test_it_changes_nothing_in_a_trained_model": ["Keras's-the user's schedule"],
    "tests/diagnose/test_find_learning_rate.py::test_other_forms_of_the_same_data_give_the_same_curve": [
        "one without end",
        "sums",
        "augmentation",
    ],
    "tests/diagnose/test_propagation.py::test_update_ratio_is_what_the_next_training_step_does": 3,
    "tests/diagnose/test_propagation.py::test_the_model_is_left_as_it_was_to_the_bit": ["0"],
    "tests/diagnose/test_verdict.py::test_models_are_healthy_before_and_after_training": ["mlp"],
    "tests/optimizers/test_base.py::test_clips_each_gradient": 3,
    # Each number once, each class once.
    "tests/optimizers/test_base.py::test_a_number_set_in_a_run_takes_effect_without_a_new_trace": [
        "SGD-momentum",
        "Adagrad-epsilon",
        "RMSprop-rho",
        "Adam-beta_1",
        "Adam-beta_2",
        "AdamW-weight_decay",
        "LARS-trust_coefficient",
        "LAMB-weight_decay",
    ],
    "tests/optimizers/test_base.py::test_the_rate_may_be_a_number_a_variable_a_schedule_or_a_callable": ["SGD", "Adam", "LAMB"],
    "tests/optimizers/test_base.py::test_state_in_a_file_finds_its_weights_whatever_was_frozen": ["True"],
    "tests/optimizers/test_base.py::test_state_finds_its_weights_where_names_repeat_or_shift": [
        "1-the first trained later-towers",
        "2-the first trained later-unnamed",
    ],
    "tests/optimizers/test_base.py::test_state_of_another_class_is_left_with_a_warning": ["theirs1-by Keras's"],
    "tests/optimizers/test_base.py::test_a_copy_goes_on_where_the_original_stands": 3,
    "tests/optimizers/test_base.py::test_mixed_precision_with_loss_scaling_trains_as_float32": ["Adam"],
    "tests/optimizers/test_convergence.py::test_minimises": 3,
    # 16 settings of each rule, drawn so that they cover: a quarter of them still has every value of every parameter
    "tests/optimizers/test_references.py::test_follows_its_paper": 4,
    "tests/schedules/test_decay_to_growth.py::test_rate_over_batch_size_is_that_of_the_schedule_at_all_times": 2,
    "tests/schedules/test_decay_to_growth.py::test_rate_over_batch_size_follows_the_plan_in_a_run_of_one_trace": [
        "schedule0-sizes0-True",
        "schedule3-sizes3-False",
    ],
    "tests/schedules/test_schedules.py::test_a_vector_of_steps_gives_the_vector_of_rates": 3,
    "tests/schedules/test_schedules.py::test_each_single_step_counts_beyond_float32": 2,
    "tests/schedules/test_schedules.py::test_importing_from_tfnn_changes_nothing_but_the_precision": 2,
    "tests/schedules/test_schedules.py::test_numbers_of_numpy_and_all_kinds_of_steps_are_taken": 3,
    "tests/layers/augment/test_geometry.py::test_a_quarter_turn_is_rot90_exactly": 3,
    "tests/layers/augment/test_geometry.py::test_the_picture_is_that_of_keras": 3,
    "tests/layers/augment/test_mixing.py::test_graph_and_xla_give_the_eager_batch_in_one_trace": ["CutMix"],
    "tests/layers/augment/test_resample.py::test_sampler_is_the_sum_over_four_padded_pixels": 3,
    "tests/layers/augment/test_transform.py::test_in_tf_data_one_draw_moves_image_mask_and_boxes": ["True"],
    "tests/layers/test_batch_normalization.py::test_ghosts_are_batches_one_after_another": 2,
    "tests/layers/test_recalibrate_batch_norm.py::test_the_first_layer_gets_the_moments_of_the_whole_data_however_it_is_cut": [
        "BatchNormalization0-7",
        "BatchNormalization1-32",
        "BatchNormalization0-100",
    ],
    "tests/layers/test_recalibrate_batch_norm.py::test_every_form_of_the_layer_is_measured_and_keeps_its_settings": 2,
    "tests/layers/test_residual.py::test_block_can_be_built_while_a_graph_is_traced": ["PreactivationBlock"],
    "tests/models/test_models.py::test_resnet_has_the_parameters_of_the_paper": ["20-0.27-False", "32-0.46-True"],
    "tests/models/test_models.py::test_resnet_takes_any_image_shape": ["options0"],
    "tests/models/test_models.py::test_models_have_their_options_in_the_same_words": ["mlp", "convnet", "resnet"],
    "tests/callbacks/tensorboard/test_plain_fit.py::test_values_of_batches_are_no_running_averages": ["1"],
    "tests/callbacks/tensorboard/test_plain_fit.py::test_one_board_serves_models_in_turn": ["fit1"],
    "tests/callbacks/tensorboard/test_scalars.py::test_values_of_updates_are_those_of_the_update_itself": [
        "1-plain-tf.data",
        "1-accumulated-arrays",
        "4-XLA-arrays",
    ],
    "tests/callbacks/tensorboard/test_scalars.py::test_epochs_stand_at_the_count_of_updates": ["plain"],
    "tests/callbacks/tensorboard/test_sessions.py::test_steps_go_on_over_two_runs": ["True-fit1", "False-fit0"],
    "tests/callbacks/tensorboard/test_sessions.py::test_a_killed_run_that_is_resumed_shows_each_update_once": ["5-13"],
    "tests/callbacks/tensorboard/test_sessions.py::test_a_profile_is_taken_of_the_batches_asked_for": ["fit0"],
    "tests/callbacks/tensorboard/test_sessions.py::test_evaluation_by_itself_is_shown_by_updates": ["evaluate1"],
    # Each schedule with both modes, each mode with both sources, and with a rate that is scaled or not.
    "tests/callbacks/test_batch_size_scheduler.py::test_each_update_has_the_mean_over_the_planned_examples": [
        "dict by update-accumulate-arrays-False",
        "dict by update-rebatch-tf.data-True",
        "dict by epoch-rebatch-arrays-False",
        "dict by epoch-accumulate-tf.data-True",
        "function of the update-rebatch-arrays-True",
        "function of the update-accumulate-tf.data-False",
        "a schedule of Keras's-rebatch-tf.data-False",
    ],
    "tests/callbacks/test_batch_size_scheduler.py::test_under_xla_the_last_of_an_epoch_is_what_the_sizes_before_it_left": [
        "schedule0-update-<lambda>-None"
    ],
    # Each schedule once, under one of the two fits in turn.
    "tests/callbacks/test_learning_rate_scheduler.py::test_by_epoch": [
        "a function of the epoch-model.fit",
        "a function of epoch and rate-tfnn.fit",
        "a function with a default-model.fit",
        "a dict-tfnn.fit",
        "a dict with gaps-model.fit",
        "a schedule-tfnn.fit",
        "a schedule in Keras-model.fit",
        "a tensor-tfnn.fit",
    ],
    "tests/callbacks/test_learning_rate_scheduler.py::test_by_update": [
        "a function of the update-tfnn.fit",
        "a function of update and rate-model.fit",
        "a dict-tfnn.fit",
        "a schedule-model.fit",
        "a schedule in Keras-tfnn.fit",
    ],
    "tests/callbacks/test_learning_rate_scheduler.py::test_updates_are_counted_over_several_runs": [
        "a function of the update-tfnn.fit",
        "a schedule in Keras-model.fit",
    ],
    "tests/callbacks/test_learning_rate_scheduler.py::test_a_schedule_by_update_is_that_of_an_optimizer_compiled_with_it": [
        "one cycle-model.fit",
        "warmed up-tfnn.fit",
    ],
    "tests/callbacks/test_learning_rate_scheduler.py::test_a_schedule_by_update_is_scaled_on_a_plateau_whichever_comes_first": [
        "tfnn.fit-scheduler",
        "model.fit-plateau",
    ],
    "tests/callbacks/test_learning_rate_scheduler.py::test_a_rate_that_is_none_is_refused": 3,
    "tests/callbacks/test_noise_scale.py::test_the_rule_is_unbiased_without_replacement_and_the_plain_one_is_not": ["2-3"],
    "tests/callbacks/test_noise_scale.py::test_the_critical_batch_size_of_a_known_loss": 3,
    "tests/callbacks/test_noise_scale.py::test_only_whole_updates_are_measured_whatever_the_source": ["XLA", "tf.data"],
    "tests/callbacks/test_noise_scale.py::test_the_noise_scale_is_that_of_the_rate_in_force": ["a schedule"],
    "tests/callbacks/test_noise_scale.py::"
    "test_the_stationary_variance_follows_the_noise_scale_until_the_batch_nears_the_data": 5,
    "tests/callbacks/test_plateau.py::test_it_reduces_in_a_run": ["tfnn.fit"],
    "tests/callbacks/test_plateau.py::test_which_way_is_better": [
        "loss-auto-less-model.fit",
        "accuracy-auto-more-tfnn.fit",
        "mine-max-more-model.fit",
        "mine-min-less-tfnn.fit",
    ],
    "tests/callbacks/test_plateau.py::test_the_batch_grows_on_a_plateau": [
        "settings0-wanted0",
        "settings2-wanted2",
        "settings4-wanted4",
        "settings7-wanted7",
    ],
    "tests/callbacks/test_plateau.py::test_a_grown_batch_is_that_of_a_schedule": ["accumulate"],
    # Each optimizer, each rate and both fits.
    "tests/callbacks/test_steered_rate.py::test_a_rate_is_set_whatever_the_optimizer_was_compiled_with": [
        "tfnn's-a number-tfnn.fit",
        "tfnn's-tfnn's schedule-model.fit",
        "Keras's-Keras's schedule-model.fit",
        "Keras's-a function-tfnn.fit",
        "tfnn's, loss scale-the user's schedule-model.fit",
        "Keras's, loss scale-tfnn's schedule-tfnn.fit",
    ],
    "tests/callbacks/test_steered_rate.py::test_a_rate_is_set_in_a_model_that_was_trained_before": ["tfnn.fit"],
    "tests/callbacks/test_steered_rate.py::test_each_optimizer_of_several_is_set": ["tfnn.fit"],
    "tests/callbacks/test_steered_rate.py::test_a_model_whose_rate_was_set_is_saved_and_goes_on": [
        "Keras's",
        "tfnn's, loss scale",
    ],
    "tests/callbacks/test_swap_decay_for_growth.py::test_rate_over_batch_follows_the_decay": [
        "accumulate-number",
        "model.fit-number",
    ],
    "tests/callbacks/test_swap_decay_for_growth.py::test_linear_scaling_is_alike_in_both_fits_and_ends_with_the_run": [
        "epoch-from 0",
        "update-number",
    ],
    "tests/callbacks/test_swap_decay_for_growth.py::test_a_rate_that_another_callback_sets_is_scaled_alike_in_both_fits": ["1"],
    "tests/serving/test_export.py::test_any_number_size_and_colour": 7,
    "tests/serving/test_export.py::test_dropout_of_every_form_is_exported_as_it_is_at_test": ["layer2"],
    "tests/serving/test_fold_batchnorm.py::test_the_layer_takes_over": 3,
    "tests/serving/test_gates.py::test_a_graph_that_calls_python_is_refused": ["True"],
    "tests/serving/test_gates.py::test_batchnorms_are_folded_unless_told_and_not_behind_an_embedding": ["True"],
    "tests/serving/test_kinds.py::test_activations_with_a_gradient_of_their_own_are_exported": ["True"],
    "tests/serving/test_kinds.py::test_half_precision_is_answered_in_float32": ["mixed_float16"],
    "tests/serving/test_kinds.py::test_the_embedding_is_the_output_of_a_layer_or_the_input_of_the_last_with_weights": [
        "middle"
    ],
    "tests/serving/test_publish.py::test_a_failure_leaves_what_was_there": ["rename"],
    "tests/cli/test_lr_find.py::test_the_same_options_give_the_same_numbers_and_others_do_not": ["seed"],
    # The conformance of every part: other tests of the table run for all of them.
    "tests/test_conformance.py::test_layer_gives_the_same_eagerly_in_a_graph_and_under_xla": [
        "Standardize, inverted",
        "BatchNormalization, ghosts",
        "ResidualBlock, dropout",
        "RandomRotation",
        "RandomErasing",
        "RandomHue",
        "Dropout, the lecture's",
        "GaussianDropout",
    ],
    "tests/test_conformance.py::test_layer_serves_every_batch_size_in_one_trace": [
        "BatchNormalization, ghosts",
        "ResidualBlock that halves",
        "RandomErasing",
        "SpatialDropout",
        "Augment",
    ],
    "tests/test_conformance.py::test_layer_computes_in_its_policy": 2,
    "tests/test_conformance.py::test_optimizer_gives_the_same_eagerly_in_a_graph_and_under_xla": [
        "SGD, decay and clipping",
        "Adagrad",
        "RMSprop, centred, momentum",
        "Adam, AMSGrad",
        "AdamW",
        "LARS",
        "LAMB",
    ],
    "tests/test_conformance.py::test_optimizer_round_trips_in_mid_run": [
        "RMSprop, centred, momentum",
        "AdamW, averages",
        "LAMB",
    ],
    "tests/test_conformance.py::test_optimizer_updates_every_float_dtype": 4,
    "tests/test_conformance.py::test_schedule_gives_the_same_eagerly_in_a_graph_and_under_xla": 3,
    "tests/test_conformance.py::test_callback_runs_under_fit": [
        "BatchSizeScheduler by update",
        "SwapDecayForGrowth",
        "LearningRateScheduler",
        "Checkpoint",
        "GrowBatchByNoise",
        "TensorBoard",
    ],
    "tests/test_conformance.py::test_model_gives_the_same_eagerly_in_a_graph_and_under_xla": [
        "convnet",
        "mlp, normalised",
        "resnet, dropout",
    ],
    "tests/test_conformance.py::test_model_round_trips_and_gives_probabilities": [
        "convnet",
        "mlp, normalised",
        "resnet, pre-activation",
    ],
    "tests/test_conformance.py::test_model_serves_every_batch_size_in_one_trace": ["convnet", "mlp", "resnet, dropout"],
    "tests/test_conformance.py::test_model_computes_in_the_global_policy_and_gives_float32": [
        "convnet",
        "mlp, normalised",
        "resnet, dropout",
    ],
    # Whole tests that do not.
    # test_state, the feature table, the command that is killed and SIGTERM stand for other ends of runs; the tests of parity
    # for facts that two files told; the seeded Dropout for seeds; MixUp in the gradient for integer labels; the draws of
    # examples for batches that are split.
    "tests/training/test_augment.py::test_augmentation_does_not_depend_on_how_a_batch_is_split": [],
    "tests/training/test_augment.py::test_integer_labels_mixed_are_one_hot_labels_mixed": [],
    "tests/training/test_bad_input.py::test_a_batch_that_grows_in_a_train_step_is_one_larger_batch": [],
    "tests/training/test_fit.py::test_a_re_batched_stream_joins_its_batches": [],
    "tests/training/test_fit.py::test_the_same_seed_gives_the_same_bits_and_another_does_not": [],
    "tests/training/test_fit.py::test_a_frozen_layer_is_not_ignored_as_by_keras": [],
    "tests/training/test_fit.py::test_batch_hooks_are_called_as_by_keras": [],
    "tests/training/test_fit.py::test_backup_and_restore_goes_on_where_keras_does": [],
    "tests/training/test_memory.py::test_a_resumed_run_lets_go_of_its_checkpoint": [],
    "tests/training/test_nonfinite.py::test_under_accumulation_the_whole_update_is_left_out": [],
    "tests/training/test_parity.py::test_fits_of_both_kinds_may_alternate": [],
    "tests/training/test_parity_callbacks.py::test_a_lambda_callback_hears_the_same": [],
    "tests/training/test_parity_callbacks.py::test_stop_evaluating_is_obeyed": [],
    "tests/training/test_resume.py::test_a_run_stopped_at_any_hook_goes_on_to_the_same_bits": [],
    "tests/training/test_resume.py::test_saved_each_epoch_it_goes_on_from_the_last_end_of_one": [],
    "tests/training/test_resume.py::test_the_table_of_a_csv_logger_is_that_of_the_whole_run": [],
    "tests/training/test_resume.py::test_a_model_whose_own_step_makes_its_weights_goes_on": [],
    "tests/training/test_resume.py::test_a_seed_that_was_drawn_is_kept": [],
    "tests/training/test_resume.py::test_a_killed_process_goes_on_to_the_same_bits": [],
    "tests/training/test_resume.py::test_a_full_disk_is_one_clear_error_and_a_later_resume_goes_on": [],
    "tests/training/test_state.py::test_without_the_seeds_that_keras_leaves_out_it_would_go_on_otherwise": [],
    # The run that goes on from any batch stands for other ways to read a stream; plans in both fits for other growables.
    "tests/data/test_growable.py::test_without_callbacks_and_in_a_second_fit_it_is_as_any_data": [],
    "tests/data/test_growable.py::test_class_weights_and_one_weight_for_several_outputs_are_as_with_arrays": [],
    "tests/data/test_growable.py::test_a_run_that_stopped_inside_an_epoch_leaves_nothing_to_the_next": [],
    "tests/data/test_growable.py::test_backup_and_restore_goes_on_in_mid_growth_with_the_same_order_and_rate": [],
    "tests/data/test_loaders.py::test_copies_do_not_make_a_class_large_enough": [],
    "tests/data/test_loaders.py::test_many_images_in_two_classes_are_one_line": [],
    "tests/data/test_loaders.py::test_spaces_and_blank_lines_of_a_table_are_passed_over": [],
    "tests/data/test_stream.py::test_a_schedule_in_epochs_is_that_of_arrays": [],
    "tests/data/test_stream.py::test_with_xla_they_agree_to_rounding": [],
    "tests/data/test_stream.py::test_one_thread_or_many_read_the_same": [],
    # Stages that join one after another, and those that were frozen before, stand for other plans; features of arrays, of files
    # and in a folder for other reasons and forms; the commands for weights from runs and bundles.
    "tests/transfer/test_backbone.py::test_it_is_built_for_any_size_channels_and_pooling": [],
    "tests/transfer/test_every_backbone.py::test_a_small_backbone_from_its_name_to_its_answers": [],
    "tests/transfer/test_feature_cache.py::test_weights_of_examples_growth_and_a_plan_are_kept": [],
    "tests/transfer/test_feature_cache.py::test_epochs_that_are_no_passes_go_on_where_the_last_one_ended": [],
    "tests/transfer/test_feature_cache.py::test_augmented_copies_are_those_of_the_first_epochs": [],
    "tests/transfer/test_feature_cache.py::"
    "test_held_out_images_are_never_augmented_even_where_they_are_those_of_the_training": [],
    "tests/transfer/test_feature_cache.py::test_one_line_says_why_features_are_not_cached": [],
    "tests/transfer/test_feature_cache.py::test_layers_below_the_stages_are_trained_and_draw": [],
    "tests/transfer/test_feature_cache.py::test_losses_that_the_head_alone_would_not_have_are_kept": [],
    "tests/transfer/test_feature_cache.py::test_a_folder_keeps_features_for_the_same_augmentation": [],
    "tests/transfer/test_feature_cache.py::test_a_damaged_file_is_computed_anew": [],
    "tests/transfer/test_unfreeze.py::test_a_run_that_is_resumed_before_stages_join_keeps_a_clock_for_each": [],
    "tests/transfer/test_unfreeze.py::test_a_plan_that_ends_with_fewer_stages_freezes_them_again": [],
    "tests/transfer/test_unfreeze.py::test_a_file_of_a_model_all_of_whose_stages_joined_is_read_again": [],
    "tests/transfer/test_unfreeze.py::test_numbers_may_be_numpys": [],
    "tests/transfer/test_unfreeze.py::test_tensorboard_and_growth_go_on_through_a_phase": [],
    "tests/transfer/test_unfreeze.py::test_streams_follow_too": [],
    "tests/transfer/test_weights.py::test_the_folder_of_a_run_and_bundles": [],
    # The sweep that changes nothing stands for the run after it.
    "tests/diagnose/test_find_learning_rate.py::test_a_run_after_it_is_that_without_it": [],
    "tests/diagnose/test_propagation.py::test_a_strategy_of_one_device_changes_nothing": [],
    # State in a file, whatever was frozen, stands for averages.
    "tests/optimizers/test_base.py::test_averages_follow_their_weights_through_freezing_and_unfreezing": [],
    # Variances of deep nets stand for their training.
    "tests/initializers/test_lsuv.py::test_a_deep_net_trains_after_it_and_not_from_small_weights": [],
    # tf.data with masks and boxes, images of unknown size, and the exporter's own tests stand for these.
    "tests/layers/augment/test_augment.py::test_it_runs_in_tf_data_on_single_images_and_on_batches": [],
    "tests/layers/augment/test_augment.py::test_an_exported_model_draws_nothing_though_keras_bakes_its_layers_in": [],
    "tests/layers/augment/test_augment.py::test_images_with_an_unknown_number_of_channels": [],
    "tests/layers/test_keras_own.py::BatchNormalizationTest::test_bachnorm_ignore_masked_values1": [],
    "tests/layers/test_keras_own.py::BatchNormalizationTest::test_bachnorm_ignore_masked_values2": [],
    "tests/layers/test_keras_own.py::BatchNormalizationTest::test_bachnorm_ignore_masked_values3": [],
    "tests/layers/test_keras_own.py::BatchNormalizationTest::test_bachnorm_ignore_masked_values4": [],
    "tests/models/test_models.py::test_deep_resnet_without_norm_starts_bounded_and_learns": [],
    # The probe that goes on, the board that is resumed and the feature table of test_resume stand for single callbacks that are
    # resumed. Speed is a matter of seconds, which a shared machine does not keep.
    "tests/callbacks/tensorboard/test_scalars.py::test_speed_is_that_of_training_alone": [],
    "tests/callbacks/tensorboard/test_sessions.py::test_what_was_written_beyond_the_checkpoint_is_dropped": [],
    "tests/callbacks/test_batch_size_scheduler.py::test_a_run_stopped_in_mid_growth_goes_on_to_the_same_bits": [],
    "tests/callbacks/test_grow_batch_by_noise.py::test_a_target_is_a_share_and_the_maximum_holds": [],
    "tests/callbacks/test_grow_batch_by_noise.py::test_a_resumed_run_grows_alike": [],
    "tests/callbacks/test_keras_own.py::LearningRateSchedulerTest::test_verbose_logging": [],
    "tests/callbacks/test_keras_own.py::ReduceLROnPlateauTest::test_honors_min_lr": [],
    "tests/callbacks/test_keras_own.py::ReduceLROnPlateauTest::test_verbose_logging": [],
    "tests/callbacks/test_noise_scale.py::test_it_changes_no_bit_of_the_run_and_an_interval_leaves_updates_out": [],
    "tests/callbacks/test_noise_scale.py::test_a_resumed_run_tells_the_same_to_the_last_bit": [],
    "tests/callbacks/test_noise_scale.py::test_one_callback_measures_models_in_turn": [],
    # The whole way stands for versions that come and go, and for signals; the C client for a process without Keras; a rename
    # that fails for crashes.
    "tests/serving/server/test_bad_requests.py::test_any_value_in_any_field": [],
    "tests/serving/server/test_bad_requests.py::test_files_with_damage": [],
    "tests/serving/server/test_change.py::test_versions_come_and_go": [],
    "tests/serving/server/test_change.py::test_what_runs_when_the_signal_comes_is_answered": [],
    "tests/serving/server/test_change.py::test_what_cannot_be_served_is_told_in_one_line": [],
    "tests/serving/server/test_change.py::test_ctrl_c_ends_it_too": [],
    "tests/serving/test_export.py::test_mixed_precision_answers_in_float32": [],
    "tests/serving/test_fold_batchnorm.py::test_mobilenet_v2_has_no_batch_norm_left": [],
    "tests/serving/test_fold_batchnorm.py::test_a_wrong_epsilon_would_be_seen": [],
    "tests/serving/test_gates.py::test_frozen_and_not_frozen_answer_alike": [],
    "tests/serving/test_gates.py::test_the_verifier_can_import_neither_keras_nor_tfnn": [],
    "tests/serving/test_kinds.py::test_images_of_different_sizes_and_colours_share_a_batch_of_bytes": [],
    "tests/serving/test_publish.py::test_a_crash_leaves_the_old_version_and_the_next_export_clears_what_it_left": [],
    # The commands that are killed, interrupted and printed stand for other processes; the last has an empty standard error.
    "tests/cli/test_cli.py::test_standard_error_holds_the_one_line_and_nothing_else": [],
    "tests/cli/test_cli.py::test_defaults_never_make_a_command_fail": [],
    "tests/cli/test_diagnose.py::test_standard_error_holds_the_one_line_and_nothing_else": [],
    "tests/cli/test_resume.py::test_without_checkpoints_it_begins_anew": [],
    "tests/cli/test_transfer.py::test_an_interrupted_run_goes_on_to_the_same_bits": [],
    "tests/cli/test_transfer.py::test_arrays_become_colour_and_their_bundle_takes_photographs_as_theirs_does": [],
    # CI runs the replicas and the notebook beside the tier.
    "tests/test_conformance.py::test_two_replicas_equal_one": [],
    "tests/test_import.py::test_import_adds_little_to_that_of_keras": [],
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
