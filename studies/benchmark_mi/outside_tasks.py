# pyright: reportMissingImports=false
"""Tasks outside benchmark-mi's list: its samplers with other parameters."""

import bmi.samplers as samplers
import bmi.transforms as transforms
import jax.numpy as jnp
import numpy as np
from bmi.benchmark import tasks as t
from bmi.benchmark.task import Task
from bmi.benchmark.tasks.asinh import transform_asinh_task as asinh
from bmi.benchmark.tasks.student import task_student_identity

half_cube = t.transform_half_cube_task
normal_cdf = t.transform_normal_cdf_task
rotate = t.transform_rotate_task
spiral = t.transform_spiral_task
wiggly = t.transform_wiggly_task


def independent(dim_x: int, dim_y: int) -> Task:
    """Two blocks that share nothing; inside a block the columns are correlated."""
    covariance = np.zeros((dim_x + dim_y,) * 2)
    covariance[:dim_x, :dim_x] = covariance[dim_x:, dim_x:] = 0.5
    np.fill_diagonal(covariance, 1.0)
    sampler = samplers.SplitMultinormal(dim_x=dim_x, dim_y=dim_y, covariance=covariance)
    return Task(sampler, f"independent-{dim_x}-{dim_y}", f"Independent {dim_x} x {dim_y}")


def heavy_tailed_independent() -> Task:
    """Cauchy x against normal y."""
    sampler = samplers.TransformedSampler(
        independent(1, 1).sampler, transform_x=lambda x: jnp.tan(jnp.pi * (transforms.normal_cdf(x) - 0.5))
    )
    return Task(sampler, "independent-cauchy", "Independent Cauchy x normal")


def side_by_side(*tasks: Task) -> Task:
    """Independent pairs put side by side: their informations add."""
    sampler = samplers.IndependentConcatenationSampler([task.sampler for task in tasks])
    return Task(sampler, "+".join(task.id for task in tasks), " + ".join(task.name for task in tasks))


def outside_tasks() -> list[Task]:
    binormal = t.task_bivariate_normal
    return [
        independent(1, 1),
        independent(5, 5),
        independent(25, 25),
        heavy_tailed_independent(),
        half_cube(independent(10, 3)),
        binormal(0.3),
        binormal(0.95),
        normal_cdf(binormal(0.99)),
        t.task_additive_noise(0.3),
        t.task_additive_noise(1.5),
        t.task_bimodal_gaussians(0.9),
        wiggly(binormal(0.9)),
        half_cube(binormal(0.5)),
        task_student_identity(1, 1, 3),
        asinh(task_student_identity(1, 1, 2)),
        t.transform_swissroll_task(normal_cdf(binormal(0.9)), "Swiss roll 2 x 1 (0.9)"),
        t.task_multinormal_dense(4, 4),
        t.task_multinormal_dense(10, 10, off_diag=0.2),
        t.task_multinormal_sparse(8, 8, n_interacting=3),
        t.task_multinormal_2pair(10, 3),
        t.task_multinormal_dense(40, 10, off_diag=0.3),
        t.task_student_dense(3, 3, 4),
        t.task_student_2pair(4, 4, 3),
        task_student_identity(4, 4, 5),
        task_student_identity(10, 10, 3),
        asinh(t.task_student_dense(4, 4, 2)),
        rotate(normal_cdf(t.task_multinormal_2pair(4, 4))),
        rotate(half_cube(t.task_multinormal_2pair(5, 5))),
        normal_cdf(t.task_multinormal_dense(10, 10)),
        half_cube(t.task_multinormal_dense(4, 4)),
        spiral(t.task_multinormal_2pair(4, 4)),
        spiral(t.task_multinormal_dense(3, 3), speed=0.5),
        spiral(t.task_multinormal_2pair(10, 10), speed=2.0),
        spiral(normal_cdf(t.task_multinormal_2pair(4, 4)), speed=2.0),
        t.task_x(0.9),
        t.task_ai(),
        t.task_galaxy(),
        t.task_waves(),
        t.task_concentric_multinormal(3, 4),
        t.task_multinormal_sparse_w_inliers(5, 5),
        side_by_side(t.task_additive_noise(0.2), binormal(0.6), t.task_additive_noise(1.0)),
        side_by_side(t.task_x(0.9), independent(3, 3)),
    ]
