/** Nothing here yet, why, and what to do about it. */

import "./feedback.css";

import type { ReactElement, ReactNode } from "react";

import { Icon, type IconName } from "./icon";

export interface EmptyProps {
  title: string;
  detail?: ReactNode;
  /** A button or a link */
  action?: ReactNode;
  icon?: IconName | undefined;
}

export function Empty({ title, detail, action, icon }: EmptyProps): ReactElement {
  return (
    <div className="empty">
      {icon !== undefined && <Icon name={icon} size={28} />}
      <p className="empty-title">{title}</p>
      {detail !== undefined && <p className="empty-detail">{detail}</p>}
      {action !== undefined && <div className="empty-action">{action}</div>}
    </div>
  );
}
