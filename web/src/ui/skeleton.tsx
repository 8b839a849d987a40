export { Skeleton, type SkeletonProps } from "./loading";
