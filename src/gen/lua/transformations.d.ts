// Generated from src/template/lua.
export declare const script: string;
