"""What schedules that modify another schedule share: the check and the serialisation of the inner one."""

import keras


class ScheduleWrapper(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, schedule, name):
        super().__init__()
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise TypeError(f"schedule must be a keras LearningRateSchedule, got {schedule!r}")
        self.schedule, self.name = schedule, name

    def get_config(self):
        return {"schedule": keras.optimizers.schedules.serialize(self.schedule), "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "schedule": keras.optimizers.schedules.deserialize(config["schedule"])})
